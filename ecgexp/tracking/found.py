"""A run as a search returns it; free of imports."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Found:
    """One run as a search returns it.

    Attributes:
        run_id: 32 hexadecimal digits.
        name: The run's name in the UI.
        status: MLflow's status word.
        metrics: Metric name to last value.
        tags: Tag name to value.
        params: Flattened configuration, or the asked-for part of it.
    """

    run_id: str
    name: str
    status: str
    metrics: dict[str, float]
    tags: dict[str, str]
    params: dict[str, str]
