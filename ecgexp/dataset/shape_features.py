"""How a beat looks, against the patient's median beat: pure functions of windows in mV."""

from __future__ import annotations

import numpy as np

from ecgexp.dataset.past import Floats, median, past

BEAT_S = (-0.3, 0.4)
"""What a window must hold, in seconds from the annotation."""
_QRS_S, _P_S = (-0.075, 0.1), (-0.25, -0.065)
_SHIFT_S = 0.04
_WIDTH_S, _SIZE_S, _SLOPE_S = (-0.15, 0.2), (-0.1, 0.125), (-0.125, 0.15)
_USUAL_WIDTH_S = 0.05
_FLOOR_MV = 0.01


def median_beats(beats: Floats, n: int, settled: int, every: int) -> Floats:
    """Return the median of the beats before each one.

    Args:
        beats: Windows of one record in order (beat, sample).
        n: How many beats the median is over.
        settled: Up to this beat it is computed anew for every beat, then for every `every`-th.
        every: Beats from one median to the next.

    Returns:
        (beat, sample); the first beat has itself.
    """
    made = np.empty_like(beats)
    current = beats[0]
    for index in range(len(beats)):
        if index and (index <= settled or index % every == 0):
            current = median(np.ascontiguousarray(beats[max(0, index - n) : index].T))
        made[index] = current
    return made


def shape_features(
    beats: Floats, template: Floats, fs_hz: float, before_s: float, recent: int
) -> dict[str, Floats]:
    """Compare each beat with the patient's median beat.

    Correlations are Pearson's, the best of the QRS within 0.04 s of shift; sizes and slopes are
    ln of a ratio with 0.01 mV (per sample) added to both. `..._to_usual` compares with the
    recent beats.

    Args:
        beats: Windows without baseline in mV (beat, sample).
        template: The median beat of each (beat, sample), mV.
        fs_hz: Sampling rate.
        before_s: Seconds from a window's start to the beat.
        recent: How many beats are usual.

    Returns:
        Name to values (beat,).
    """

    def part(windows: Floats, limits_s: tuple[float, float], shift: int = 0) -> Floats:
        first, last = (round((before_s + limit) * fs_hz) + shift for limit in limits_s)
        piece: Floats = windows[:, max(first, 0) : last]
        return piece

    most = round(_SHIFT_S * fs_hz)
    qrs = part(template, _QRS_S)
    shifted = [part(beats, _QRS_S, shift) for shift in range(-most, most + 1)]
    p_correlation = _correlation(part(beats, _P_S), part(template, _P_S))
    sizes = [np.ptp(part(x, _SIZE_S), axis=1) for x in (beats, template)]
    slopes = [np.abs(np.diff(part(x, _SLOPE_S), axis=1)).max(axis=1) for x in (beats, template)]
    return {
        "qrs_correlation": np.max([_correlation(x, qrs) for x in shifted], axis=0),
        "qrs_width": np.log(_width_s(part(beats, _WIDTH_S), fs_hz) / _USUAL_WIDTH_S),
        "qrs_size_to_median": _log_ratio(*sizes),
        "qrs_slope_to_median": _log_ratio(*slopes),
        "p_correlation_to_usual": p_correlation - median(past(p_correlation, recent)),
    }


def _log_ratio(value: Floats, reference: Floats) -> Floats:
    return np.asarray(np.log((value + _FLOOR_MV) / (reference + _FLOOR_MV)))


def _correlation(a: Floats, b: Floats) -> Floats:
    a, b = (x - x.mean(axis=1, keepdims=True) for x in (a, b))
    energy = np.square(a).sum(axis=1) * np.square(b).sum(axis=1)
    return np.asarray((a * b).sum(axis=1) / np.sqrt(energy + 1e-6))


def _width_s(windows: Floats, fs_hz: float) -> Floats:
    """Return the standard deviation of time, weighted with the size of the slope, in seconds."""
    slope = np.abs(np.diff(windows, axis=1)) + 1e-6
    slope /= slope.sum(axis=1, keepdims=True)
    time_s = np.arange(slope.shape[1]) / fs_hz
    centre = slope @ time_s
    return np.asarray(np.sqrt((slope * np.square(time_s - centre[:, None])).sum(axis=1)))
