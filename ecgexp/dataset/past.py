"""Look back from every beat of a record: nothing here sees a later beat."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def past(values: Floats, n: int) -> Floats:
    """Return the `n` values before each one.

    Args:
        values: One per beat (beat,).
        n: How far to look back, in beats.

    Returns:
        (beat, n), latest last; NaN before the record begins. The first beat, which has no past,
        sees itself.
    """
    padded = np.concatenate([np.full(n, np.nan), values[:-1]])
    rows = sliding_window_view(padded, n).copy()
    rows[0, -1] = values[0]
    return rows


def mean(rows: Floats) -> Floats:
    """Return the mean of what is there in each row (beat,)."""
    return np.asarray(np.nanmean(rows, axis=1))


def median(rows: Floats) -> Floats:
    """Return the median of what is there in each row (beat,)."""
    return quantile(rows, 0.5)


def quantile(rows: Floats, share_below: float) -> Floats:
    """Return a quantile of what is there in each row, interpolated linearly (beat,)."""
    # NumPy's own for rows with NaN goes through them one by one, thirty times slower.
    ordered = np.sort(rows, axis=1)
    place = share_below * (np.count_nonzero(~np.isnan(ordered), axis=1) - 1)
    below = np.floor(place).astype(np.int64)
    row = np.arange(len(rows))
    low, high = ordered[row, below], ordered[row, np.ceil(place).astype(np.int64)]
    return np.asarray(low + (place - below) * (high - low))


def score(values: Floats, rows: Floats, floor: float) -> Floats:
    """Return how many median absolute deviations each value lies from the median of its row.

    Args:
        values: One per beat (beat,).
        rows: What each is compared with (beat, n).
        floor: Added to the deviation, in the unit of the values.
    """
    centre = median(rows)
    return (values - centre) / (median(np.abs(rows - centre[:, None])) + floor)
