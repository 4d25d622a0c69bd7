"""When a beat comes, against the beats before it: pure functions of beat times."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ecgexp.dataset.past import Floats, mean, median, past, quantile, rank, score, share

NEAR = 5
"""Beats of `rr_to_shortest` and `rr_to_longest`."""
_RR_S = (0.2, 5.0)
_EARLY, _VERY_EARLY, _REGULAR = 0.12, 0.25, 0.05
_FLOOR = 0.02
_TREND = 0.3


def rhythm_features(at_s: NDArray[np.floating], spans: dict[str, int]) -> dict[str, Floats]:
    """Describe the RR interval that ends with each beat.

    `rr` is ln(RR / 0.8 s) with RR held within 0.2 to 5 s; all other values are differences of
    logarithms, which are ratios, shares, or multiples of a spread. All compare with the past.

    Args:
        at_s: Time of each beat in seconds, ascending (beat,).
        spans: `near`, `recent` and `long`: how far to look back, in beats.

    Returns:
        Name to values (beat,).
    """
    rr_s = np.diff(at_s, prepend=at_s[:1] - (at_s[1] - at_s[0] if len(at_s) > 1 else 0.8))
    rr_s = np.clip(rr_s.astype(np.float64), *_RR_S)
    r = np.log(rr_s)
    change = np.diff(r, prepend=r[:1])
    before = {name: past(r, n) for name, n in spans.items()}
    changes = {name: past(np.abs(change), n) for name, n in spans.items()}
    means = {name: np.log(mean(past(rr_s, n))) for name, n in spans.items()}
    medians = {name: median(rows) for name, rows in before.items()}
    found = {"rr": r - np.log(0.8), "rr_change": change}
    for name, rows in before.items():
        found[f"rr_to_mean_{name}"] = r - means[name]
        found[f"rr_to_median_{name}"] = r - medians[name]
        found[f"rr_score_{name}"] = score(r, rows, _FLOOR)
        found[f"rr_rank_{name}"] = rank(r, rows)
        found[f"irregularity_{name}"] = mean(changes[name])
        found[f"spread_{name}"] = np.asarray(np.nanstd(rows, axis=1))
    for percent in (10, 25, 75, 90):
        found[f"rr_to_p{percent}_long"] = r - quantile(before["long"], percent / 100)
    nearest = past(r, NEAR)
    found["rr_to_shortest"] = r - np.nanmin(nearest, axis=1)
    found["rr_to_longest"] = r - np.nanmax(nearest, axis=1)
    found["rr_to_trend"] = r - _trend(r)
    found["near_to_long_mean"] = means["near"] - means["long"]
    found["near_to_long_median"] = medians["near"] - medians["long"]
    for name, centre in medians.items():
        found[f"previous_to_median_{name}"] = _previous(r, 1) - centre
    found["second_previous_to_median_recent"] = _previous(r, 2) - medians["recent"]
    return {**found, **_of_recent(r, change, before["recent"], changes["recent"])}


def _of_recent(r: Floats, change: Floats, rows: Floats, changes: Floats) -> dict[str, Floats]:
    """Describe what rhythm the recent beats had."""
    centre = median(rows)
    usual_change = median(changes) + _FLOOR
    offset = rows - centre[:, None]
    return {
        "usual_change": np.log(usual_change),
        "change_score": change / usual_change,
        "share_regular": share(changes, changes < _REGULAR),
        "share_early": share(rows, offset < -_EARLY),
        "share_very_early": share(rows, offset < -_VERY_EARLY),
        "share_late": share(rows, offset > _EARLY),
        "early_run": np.log1p(_run(r < centre - 0.1)),
    }


def _previous(values: Floats, n: int) -> Floats:
    return np.concatenate([np.repeat(values[:1], n), values])[: len(values)]


def _trend(values: Floats) -> Floats:
    """Return the exponential mean of the past."""
    trend = np.empty_like(values)
    level = values[0]
    for index, value in enumerate(values):
        trend[index] = level
        level += _TREND * (value - level)
    return trend


def _run(flags: NDArray[np.bool_]) -> Floats:
    """Return how many flags in a row end with each place."""
    place = np.arange(len(flags))
    last_unset = np.maximum.accumulate(np.where(flags, -1, place))
    return (place - last_unset).astype(np.float64)
