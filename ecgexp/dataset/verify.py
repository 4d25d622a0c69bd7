"""Read every recording of a data set once and name all that is wrong, not only the first."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from ecgexp.dataset import progress as show
from ecgexp.dataset.datamodule import EcgDataModule
from ecgexp.dataset.published import compare
from ecgexp.dataset.windows import SPLITS
from ecgexp.errors import DataError


@dataclass(frozen=True, kw_only=True)
class Verification:
    """What reading every recording showed.

    Attributes:
        name: The data set and its task.
        n_records: Recordings that make windows.
        n_windows: Windows of them.
        classes: Class name to windows.
        faults: One sentence per recording that cannot be used.
        remarks: One sentence per recording that can be used but is worth a look: a flat lead,
            the same samples as another, shorter than a window.
        checks: One sentence per comparison with what was published.
    """

    name: str
    n_records: int
    n_windows: int
    classes: dict[str, int]
    faults: tuple[str, ...]
    remarks: tuple[str, ...]
    checks: tuple[str, ...]


def verify(data: EcgDataModule, *, progress: bool) -> Verification:
    """Check sizes, checksums, units, finite values and limb leads of every recording.

    Counts and files are compared with what the publisher says, where the publisher does.

    Args:
        data: Any data module; neither prepared nor cached windows are looked at.
        progress: Show a bar.

    Raises:
        DataError: The labels or annotations cannot be used, so that there is nothing to read.
    """
    plan = data.source.plan()
    records = tuple(dict.fromkeys(plan.records[index] for index in plan.record))
    faults: list[str] = []
    remarks: list[str] = []
    first: dict[bytes, str] = {}
    track = show.bar if progress else show.silent
    compared = [compare(place, track=track) for place in data.source.places()]
    faults += [fault for each in compared for fault in each.faults]
    for record in track(records, f"verifying {data.name}", len(records)):
        try:
            signal = data.source.signal(record)
        except DataError as error:
            faults.append(str(error))
            continue
        flat = [
            lead for lead, row in zip(plan.leads, signal, strict=True) if row.min() == row.max()
        ]
        if flat:
            remarks.append(f"record {record}: lead {', '.join(flat)} is flat from end to end")
        digest = hashlib.sha1(
            np.ascontiguousarray(signal).tobytes(), usedforsecurity=False
        ).digest()
        other = first.setdefault(digest, record)
        if other != record and len(flat) < len(signal):
            remarks.append(f"record {record}: the same samples as record {other}")
        length_s = signal.shape[-1] / plan.fs_hz
        if length_s < plan.window_s:
            remarks.append(
                f"record {record}: {length_s:g} s, shorter than a window of {plan.window_s:g} s"
            )
    totals = np.sum([plan.class_counts(split) for split in SPLITS], axis=0)
    return Verification(
        name=data.source.name,
        n_records=len(records),
        n_windows=len(plan.y),
        classes={label: int(n) for label, n in zip(plan.labels, totals, strict=True)},
        faults=tuple(faults),
        remarks=tuple(remarks),
        checks=tuple(check for each in compared for check in each.checks),
    )
