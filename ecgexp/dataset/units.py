"""What counts as one answer: a window by itself, or a recording with all its windows."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ecgexp.dataset.windows import WindowSet
from ecgexp.errors import ConfigError

JudgedBy = Literal["window", "record"]
JUDGED_BY = ("window", "record")


def units_of(windows: WindowSet, judged_by: JudgedBy) -> NDArray[np.int64] | None:
    """Number the units of a split.

    Args:
        windows: Windows of one split.
        judged_by: `window`, or `record` for one answer per recording.

    Returns:
        Unit of each window (window,), counted from 0 in the order in which the units begin; None
        when every window is one.

    Raises:
        ConfigError: Windows of one recording differ in class.
    """
    if judged_by == "window":
        return None
    _, first, found = np.unique(windows.record, return_index=True, return_inverse=True)
    rank = np.empty(len(first), dtype=np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    differ = (windows.y != windows.y[first][found]).reshape(len(windows), -1).any(axis=1)
    if differ.any():
        raise ConfigError(
            f"dataset.judged_by=record: windows of record {windows.record[differ.argmax()]} differ "
            "in class; use dataset.judged_by=window"
        )
    return rank[found]


def mean_by_unit(
    values: NDArray[np.float32], units: NDArray[np.int64] | None
) -> NDArray[np.float32]:
    """Return the mean of the values (window, class) over the windows of each unit."""
    if units is None:
        return values
    total = np.zeros((units.max(initial=-1) + 1, values.shape[1]), dtype=np.float64)
    np.add.at(total, units, values)
    return (total / np.bincount(units)[:, None]).astype(np.float32)


def first_by_unit(units: NDArray[np.int64] | None, n_windows: int) -> NDArray[np.int64]:
    """Return the first window of each unit (unit,)."""
    return np.arange(n_windows) if units is None else np.unique(units, return_index=True)[1]


def one_row_each(windows: WindowSet, units: NDArray[np.int64] | None) -> WindowSet:
    """Return one row per unit: its class, names and, of several windows, the first."""
    if units is None:
        return windows
    first = first_by_unit(units, len(windows))
    columns = ("x", "y", "patient", "record", "start")
    return replace(windows, **{name: getattr(windows, name)[first] for name in columns})
