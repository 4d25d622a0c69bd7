"""Summarise a data set in plain containers, for tables and pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecgexp.dataset.datamodule import EcgDataModule
from ecgexp.dataset.windows import SPLITS, Split


@dataclass(frozen=True, kw_only=True)
class Example:
    """One window to show.

    Attributes:
        label: Its class.
        x: The preprocessed window (lead, sample).
        record: Where it was cut.
        start: Its first sample in the record, at the record's rate.
    """

    label: str
    x: NDArray[np.float32]
    record: str
    start: int


def summarise(data: EcgDataModule) -> dict[str, Any]:
    """Count records, patients and classes.

    Args:
        data: Any data module; it is prepared when it is not yet.

    Returns:
        `name`, `fingerprint`, `caveat` (what to know of the split), `fs_hz`, `leads`,
        `n_samples`, `labels` and `splits`: per split `records`, `patients` (sorted
        names), `windows` and `classes` (class name to windows).
    """
    spec = data.spec
    splits: dict[str, Any] = {}
    for name in SPLITS:
        windows = data.split(name)
        counts = np.bincount(windows.y, minlength=spec.n_classes)
        splits[name] = {
            "records": sorted(set(windows.record.tolist())),
            "patients": sorted(set(windows.patient.tolist())),
            "windows": len(windows),
            "classes": {
                label: int(count) for label, count in zip(spec.labels, counts, strict=True)
            },
        }
    return {
        "name": data.name,
        "fingerprint": data.fingerprint,
        "caveat": data.caveat,
        **spec.to_dict(),
        "splits": splits,
    }


def examples(data: EcgDataModule, split: Split, per_class: int, *, seed: int) -> list[Example]:
    """Draw windows of each class to look at.

    Args:
        data: Any data module; it is prepared when it is not yet.
        split: Where to draw.
        per_class: Windows of each class, fewer where the split has fewer.
        seed: Seed of the draw.

    Returns:
        The windows, class by class.
    """
    windows = data.split(split)
    rng = np.random.default_rng(seed)
    drawn: list[Example] = []
    for number, label in enumerate(data.spec.labels):
        for index in rng.permutation(np.flatnonzero(windows.y == number))[:per_class]:
            example = Example(
                label=label,
                x=np.array(windows.x[index]),
                record=str(windows.record[index]),
                start=int(windows.start[index]),
            )
            drawn.append(example)
    return drawn
