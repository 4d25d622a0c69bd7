"""Short names of figures, and which of them are better when small."""

from __future__ import annotations

from collections.abc import Sequence

from ecgexp.tracking import names
from ecgexp.tracking.found import Found

_COSTS = ("loss", "_drop", "error", "_difference", "brier", "ece", "nll", "bytes")
_SHARES_OF_GOLDEN = ("golden_equal", "golden_as_written")


def short_names(target: str) -> dict[str, str]:
    """Return the short names that a condition or a column may use, with what they stand for."""
    return {
        "f1": names.TEST_F1,
        "accuracy": names.TEST_ACCURACY,
        "val_f1": "val/f1_macro",
        "int8": names.INT8_ACCURACY,
        "int8_drop": names.INT8_DROP,
        "model_accuracy": names.MODEL_ACCURACY,
        "model_f1": names.MODEL_F1,
        "bytes": names.MODEL_BYTES,
        "instructions": names.deploy_metric(target, "instructions"),
        "cycles": names.deploy_metric(target, "cycles_est"),
        "latency": names.deploy_metric(target, "latency_est_ms"),
        "flash": names.deploy_metric(target, "flash_bytes"),
        "ram": names.deploy_metric(target, "ram_bytes"),
        "golden": names.deploy_metric(target, "golden_equal"),
        "deployable": names.DEPLOYABLE_TAG,
        "sweep": names.SWEEP_TAG,
    }


def full_name(name: str, target: str) -> str:
    """Return what a short name stands for; other names are full ones already."""
    return short_names(target).get(name, name)


def is_cost(name: str) -> bool:
    """Whether a metric, by its full name, is better when it is small."""
    last = name.rpartition("/")[2]
    if name.startswith("deploy/"):
        return last not in _SHARES_OF_GOLDEN
    return last.endswith(_COSTS)


def cost(run: Found, name: str) -> float | None:
    """Return a metric as a value to minimise; None when the run has none, or not a number."""
    value = run.metrics.get(name)
    if value is None or value != value:
        return None
    return value if is_cost(name) else -value


def costs(run: Found, names: Sequence[str]) -> tuple[float, ...] | None:
    """Return several metrics as values to minimise; None when one is missing or there is none."""
    values = [cost(run, name) for name in names]
    known = [value for value in values if value is not None]
    return tuple(known) if values and len(known) == len(values) else None


def figure(run: Found, name: str) -> float | str | None:
    """Return what a run has under a full name: metric, tag or parameter."""
    if name in run.metrics:
        return run.metrics[name]
    return run.tags.get(name, run.params.get(name))
