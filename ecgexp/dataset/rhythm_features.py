"""When a beat comes, against the beats before it: pure functions of beat times."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ecgexp.dataset.past import Floats, mean, median, past, quantile, score

_RR_S = (0.2, 5.0)
_FLOOR = 0.02


def rhythm_features(at_s: NDArray[np.floating], near: int, long: int) -> dict[str, Floats]:
    """Describe the RR interval that ends with each beat.

    `rr` is ln(RR / 0.8 s) with RR held within 0.2 to 5 s; all other values are differences of
    logarithms, which are ratios, or multiples of a spread. All compare with the past.

    Args:
        at_s: Time of each beat in seconds, ascending (beat,).
        near: The shorter look back, in beats.
        long: The longer look back, in beats.

    Returns:
        Name to values (beat,).
    """
    rr_s = np.diff(at_s, prepend=at_s[:1] - (at_s[1] - at_s[0] if len(at_s) > 1 else 0.8))
    r = np.log(np.clip(rr_s.astype(np.float64), *_RR_S))
    change = np.diff(r, prepend=r[:1])
    before = past(r, long)
    return {
        "rr": r - np.log(0.8),
        "rr_change": change,
        "rr_score_long": score(r, before, _FLOOR),
        "rr_to_p90_long": r - quantile(before, 0.9),
        "near_to_long_median": median(past(r, near)) - median(before),
        "irregularity_near": mean(past(np.abs(change), near)),
        "irregularity_long": mean(past(np.abs(change), long)),
        "spread_long": np.asarray(np.nanstd(before, axis=1)),
    }
