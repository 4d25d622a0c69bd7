"""Move windows of single beats so that the R peak itself stands where the annotation stood."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ecgexp.errors import ConfigError


def align_peak(
    x: NDArray[np.floating],
    fs_hz: float,
    *,
    beat_s: float,
    search_s: float,
    before_s: float,
    after_s: float,
) -> tuple[NDArray[np.floating], float]:
    """Cut shorter windows around the highest sample near each annotated beat.

    Args:
        x: Windows (window, lead, sample), cut with `search_s` to spare on both sides.
        fs_hz: Sampling rate of `x`.
        beat_s: Where the annotation lies in a window of `x`, in seconds.
        search_s: How far from it the peak of the first lead is looked for.
        before_s: Seconds from the new window's start to the peak.
        after_s: Seconds from the peak to the new window's end.

    Returns:
        Windows (window, lead, sample) of `before_s + after_s`, and `fs_hz`.

    Raises:
        ConfigError: The windows of `x` are too short.
    """
    beat, reach, before, after = (
        round(seconds * fs_hz) for seconds in (beat_s, search_s, before_s, after_s)
    )
    first, end = beat - reach - before, beat + reach + after
    if min(reach, before) < 0 or after < 1 or first < 0 or end > x.shape[-1]:
        raise ConfigError(
            f"preprocessing: align_peak beat_s={beat_s:g}, search_s={search_s:g}, "
            f"before_s={before_s:g}, after_s={after_s:g} needs samples {first} to {end} of a "
            f"window of {x.shape[-1]}; cut longer windows (before_s and after_s of the task)"
        )
    near = x[:, 0, beat - reach : beat + reach + 1]
    start = near.argmax(axis=-1) + beat - reach - before
    index = start[:, None, None] + np.arange(before + after)
    return np.take_along_axis(x, index, axis=-1), fs_hz
