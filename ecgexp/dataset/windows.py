"""What windows to cut, and cutting them: plain arrays, no files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from ecgexp.dataset.labels import class_rows

Split = Literal["train", "val", "test"]
Fill = Literal["edge", "repeat"]
SPLITS: tuple[Split, ...] = ("train", "val", "test")
SIMULATED = "~"
"""Stands between a record's name and what was made out of it."""


class Cutter(Protocol):
    """Makes windows that hold more than a piece of the signal."""

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the values at the beginning of the last lead."""
        ...

    def leads(self, lead: str) -> tuple[str, ...]:
        """Return the names of a window's leads, given the lead that is read."""
        ...

    def extend(self, plan: Plan) -> Plan:
        """Add what is made out of training records, if anything."""
        ...

    def cut(
        self, record: str, x: NDArray[np.floating], fs_hz: float, starts: NDArray[np.int64]
    ) -> NDArray[np.floating]:
        """Return windows (window, lead, sample) of a record's preprocessed signal.

        Args:
            record: Name of the record.
            x: Its signal (lead, sample).
            fs_hz: Sampling rate of `x`.
            starts: First samples at the record's own rate (window,).
        """
        ...


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Every window of a data set, decided from annotations before any signal is filtered.

    Attributes:
        fs_hz: Sampling rate of the records.
        leads: Lead names in channel order.
        labels: Class names; `y` counts in this order.
        window_s: Length of a window in seconds.
        records: Record names.
        patients: Patient of each record.
        splits: Split of each record.
        record: Index into `records` per window (window,).
        start: First sample of each window in its record, at `fs_hz` (window,). It may lie before
            the record and the end behind it: `fill` says what stands there.
        y: Class of each window (window,), or a 0 or 1 for each class (window, class) where a window
            can have several.
        fill: What stands outside of a record: its edge value, or the record over again.
        caveat: What a reader of the figures must know of the split; empty when patients,
            records and copies each lie on one side.
        leaks: Whether the split is known to have the same signals on two sides.
        cutter: Makes the windows; None to cut them out of the signal as they are.
    """

    fs_hz: float
    leads: tuple[str, ...]
    labels: tuple[str, ...]
    window_s: float
    records: tuple[str, ...]
    patients: tuple[str, ...]
    splits: tuple[Split, ...]
    record: NDArray[np.int64]
    start: NDArray[np.int64]
    y: NDArray[np.int64]
    fill: Fill = "edge"
    caveat: str = ""
    leaks: bool = False
    untaught: tuple[str, ...] = ()
    cutter: Cutter | None = None

    def split_of_window(self) -> NDArray[np.int64]:
        """Return the position in `SPLITS` of each window's split (window,)."""
        of_record = np.array([SPLITS.index(split) for split in self.splits], dtype=np.int64)
        return of_record[self.record]

    def class_counts(self, split: Split) -> tuple[int, ...]:
        """Count the windows of each class in a split."""
        inside = self.split_of_window() == SPLITS.index(split)
        counts = class_rows(self.y[inside], len(self.labels)).sum(axis=0)
        return tuple(int(count) for count in counts)


@dataclass(frozen=True, kw_only=True)
class WindowSet:
    """The windows of one split.

    Attributes:
        x: Preprocessed windows (window, lead, sample) float32, or images (window, lead, row,
            column); usually memory-mapped, read only.
        y: Class of each window (window,) int64, or a 0 or 1 for each class (window, class).
        patient: Patient of each window (window,).
        record: Record of each window (window,).
        start: First sample of each window in its record, at the record's rate (window,).
    """

    x: NDArray[np.float32]
    y: NDArray[np.int64]
    patient: NDArray[np.str_]
    record: NDArray[np.str_]
    start: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.y)


def cut(
    x: NDArray[np.floating], first: NDArray[np.int64], length: int, fill: Fill
) -> NDArray[np.floating]:
    """Cut windows out of one signal.

    Args:
        x: Signal (lead, sample).
        first: First sample of each window (window,); may be negative.
        length: Samples per window.
        fill: What stands outside of the signal: its edge value, or the signal over again.

    Returns:
        Windows (window, lead, length).
    """
    index = first[:, None] + np.arange(length)
    n_samples = x.shape[-1]
    index = index % n_samples if fill == "repeat" else np.clip(index, 0, n_samples - 1)
    return x[:, index].transpose(1, 0, 2)


def tile(n_samples: int, length: int, stride: int) -> NDArray[np.int64]:
    """Return the first samples of the windows that lie fully inside a signal.

    Args:
        n_samples: Samples of the signal.
        length: Samples per window.
        stride: Samples from one window's start to the next.
    """
    return np.arange(0, n_samples - length + 1, stride, dtype=np.int64)


def cover(n_samples: int, length: int, stride: int | None) -> NDArray[np.int64]:
    """Return the first samples of the windows that stand for a whole recording.

    A recording shorter than a window makes one that begins with it. Without a stride there is
    one window, out of the middle; with one, the last window ends with the recording, so that
    every sample is seen.

    Args:
        n_samples: Samples of the recording.
        length: Samples per window.
        stride: Samples from one window's start to the next; None for one window.
    """
    if n_samples <= length:
        return np.zeros(1, dtype=np.int64)
    if stride is None:
        return np.array([(n_samples - length) // 2], dtype=np.int64)
    starts = tile(n_samples, length, stride)
    last = n_samples - length
    return starts if starts[-1] == last else np.append(starts, last)
