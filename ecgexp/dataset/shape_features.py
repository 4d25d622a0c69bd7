"""How a beat looks, against the patient's median beat: pure functions of windows in mV."""

from __future__ import annotations

import numpy as np

from ecgexp.dataset.past import Floats, median, past, score

PARTS_S = {
    "whole": (-0.3, 0.4),
    "qrs": (-0.075, 0.1),
    "p": (-0.25, -0.065),
    "st": (0.1, 0.4),
}
"""Parts of a beat in seconds from the annotation."""
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

    Correlations are Pearson's; differences and powers are ln of a ratio of root mean squares
    with 0.01 mV added to both. `..._to_usual` and `..._score` compare with the recent beats.

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

    found: dict[str, Floats] = {}
    whole = _rms(part(template, PARTS_S["whole"]))
    for name, limits in PARTS_S.items():
        beat, usual = part(beats, limits), part(template, limits)
        found[f"{name}_correlation"] = _correlation(beat, usual)
        found[f"{name}_difference"] = _log_ratio(_rms(beat - usual), whole)
        found[f"{name}_power"] = _log_ratio(_rms(_centred(beat)), _rms(_centred(usual)))
    qrs = part(template, PARTS_S["qrs"])
    most = round(_SHIFT_S * fs_hz)
    found["qrs_best_correlation"] = np.max(
        [_correlation(part(beats, PARTS_S["qrs"], shift), qrs) for shift in range(-most, most + 1)],
        axis=0,
    )
    own = part(beats, PARTS_S["qrs"])
    found["qrs_correlation_to_previous"] = _correlation(own, np.concatenate([own[:1], own[:-1]]))
    width, usual_width = (_width_s(part(x, _WIDTH_S), fs_hz) for x in (beats, template))
    found["qrs_width"] = np.log(width / _USUAL_WIDTH_S)
    found["qrs_width_to_median"] = np.log(width / usual_width)
    sizes = [np.ptp(part(x, _SIZE_S), axis=1) for x in (beats, template)]
    found["qrs_size_to_median"] = _log_ratio(*sizes)
    slopes = [np.abs(np.diff(part(x, _SLOPE_S), axis=1)).max(axis=1) for x in (beats, template)]
    found["qrs_slope_to_median"] = _log_ratio(*slopes)
    return {**found, **_against_usual(found, recent)}


def _against_usual(found: dict[str, Floats], recent: int) -> dict[str, Floats]:
    """Compare with how well the recent beats agreed with their median beats."""
    more: dict[str, Floats] = {}
    for name in ("p", "qrs"):
        difference = found[f"{name}_difference"]
        rows = past(difference, recent)
        more[f"{name}_difference_to_usual"] = difference - median(rows)
        more[f"{name}_difference_score"] = score(difference, rows, 0.05)
    usual_p = median(past(found["p_correlation"], recent))
    more["usual_p_correlation"] = usual_p
    more["usual_qrs_correlation"] = median(past(found["qrs_best_correlation"], recent))
    more["p_correlation_to_usual"] = found["p_correlation"] - usual_p
    return more


def _centred(windows: Floats) -> Floats:
    centred: Floats = windows - windows.mean(axis=1, keepdims=True)
    return centred


def _rms(windows: Floats) -> Floats:
    return np.asarray(np.sqrt(np.square(windows).mean(axis=1)))


def _log_ratio(value: Floats, reference: Floats) -> Floats:
    return np.asarray(np.log((value + _FLOOR_MV) / (reference + _FLOOR_MV)))


def _correlation(a: Floats, b: Floats) -> Floats:
    a, b = _centred(a), _centred(b)
    energy = np.square(a).sum(axis=1) * np.square(b).sum(axis=1)
    return np.asarray((a * b).sum(axis=1) / np.sqrt(energy + 1e-6))


def _width_s(windows: Floats, fs_hz: float) -> Floats:
    """Return the standard deviation of time, weighted with the size of the slope, in seconds."""
    slope = np.abs(np.diff(windows, axis=1)) + 1e-6
    slope /= slope.sum(axis=1, keepdims=True)
    time_s = np.arange(slope.shape[1]) / fs_hz
    centre = slope @ time_s
    return np.asarray(np.sqrt((slope * np.square(time_s - centre[:, None])).sum(axis=1)))
