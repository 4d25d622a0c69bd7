"""Summarise a data set in plain containers, for tables and pictures."""

from __future__ import annotations

from typing import Any

from ecgexp.dataset.datamodule import EcgDataModule
from ecgexp.dataset.labels import class_rows
from ecgexp.dataset.windows import SPLITS


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
        counts = class_rows(windows.y, spec.n_classes).sum(axis=0)
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
