"""Simulate a single-lead ECG of one patient: beats as sums of Gaussians, plus disturbances.

The waves follow McSharry, Clifford, Tarassenko and Smith, "A dynamical model for generating
synthetic electrocardiogram signals", IEEE Trans. Biomed. Eng. 50 (2003): each of P, Q, R, S, T is
a Gaussian at an angle of the beat. The rhythm is drawn beat by beat instead of from a spectrum, so
that ectopic beats and atrial fibrillation fit in; the Gaussians are then added up directly, which
is what the model's equation of motion converges to.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RATE_BPM: dict[str, tuple[float, float]] = {
    "sinus": (61.0, 99.0),
    "bradycardia": (40.0, 59.0),
    "tachycardia": (101.0, 155.0),
    "atrial_fibrillation": (50.0, 150.0),
}
_NORMAL, _ATRIAL, _VENTRICULAR = 0, 1, 2
_SHORTEST_RR_S = 0.27
_WAVES = 5  # P Q R S T


@dataclass(frozen=True, kw_only=True)
class Beats:
    """The beats of one recording.

    Attributes:
        time_s: Time of each R peak, rising (beat,).
        rr_s: Interval before each beat (beat,).
        kind: 0 normal, 1 premature atrial, 2 premature ventricular (beat,).
    """

    time_s: NDArray[np.float64]
    rr_s: NDArray[np.float64]
    kind: NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Waves:
    """Shape of a patient's beats; arrays in the order P, Q, R, S, T.

    Attributes:
        amplitude_mv: Peaks (5,).
        width_s: Standard deviations (5,).
        offset_s: Peak times from R at an RR interval of 1 s (5,).
    """

    amplitude_mv: NDArray[np.float64]
    width_s: NDArray[np.float64]
    offset_s: NDArray[np.float64]


def simulate(
    rng: np.random.Generator,
    *,
    rhythm: str,
    length_s: float,
    fs_hz: float,
    ectopic_share: float,
    noise_gain: float,
) -> NDArray[np.float32]:
    """Simulate one patient's recording.

    Args:
        rng: The patient's own generator.
        rhythm: A key of `RATE_BPM`.
        length_s: Length in seconds.
        fs_hz: Sampling rate in Hz.
        ectopic_share: Largest share of ectopic beats; half of the patients have none.
        noise_gain: Factor on every disturbance.

    Returns:
        The signal (sample,) in mV.
    """
    n_samples = round(length_s * fs_hz)
    beats = draw_beats(rng, rhythm=rhythm, length_s=length_s, ectopic_share=ectopic_share)
    fibrillating = rhythm == "atrial_fibrillation"
    waves = _draw_waves(rng, with_p=not fibrillating)
    signal = _render(beats, waves, _draw_ventricular(rng, waves), n_samples, fs_hz)
    time_s = np.arange(n_samples) / fs_hz
    if fibrillating:
        signal += _fibrillation(rng, time_s)
    polarity = -1.0 if rng.random() < 0.05 else 1.0
    signal *= polarity * rng.lognormal(0.0, 0.25)
    return (signal + noise_gain * _disturb(rng, time_s, fs_hz)).astype(np.float32)


def draw_beats(
    rng: np.random.Generator, *, rhythm: str, length_s: float, ectopic_share: float
) -> Beats:
    """Draw the times and kinds of a recording's beats; arguments as in `simulate`."""
    low, high = RATE_BPM[rhythm]
    mean_rr = 60.0 / rng.uniform(low, high)
    n_beats = int(length_s / mean_rr * 1.6) + 20
    if rhythm == "atrial_fibrillation":
        variation = rng.uniform(0.10, 0.26)
        shape = 1.0 / variation**2
        rr = mean_rr * rng.gamma(shape, 1.0 / shape, n_beats)
    else:
        beat_time = np.arange(n_beats) * mean_rr
        breathing = rng.uniform(0.0, 0.09) * np.sin(
            2 * np.pi * rng.uniform(0.15, 0.35) * beat_time + rng.uniform(0, 2 * np.pi)
        )
        slow = rng.uniform(0.0, 0.02) * np.sin(0.6 * beat_time + rng.uniform(0, 2 * np.pi))
        rr = mean_rr * (1 + breathing + slow + rng.normal(0, rng.uniform(0.004, 0.02), n_beats))
    rr, kind = _insert_ectopy(rng, rr, rhythm=rhythm, ectopic_share=ectopic_share)
    rr = np.maximum(rr, _SHORTEST_RR_S)
    time = np.cumsum(rr) - rng.uniform(1.0, 2.0) * mean_rr
    inside = time < length_s + 1.0
    return Beats(time_s=time[inside], rr_s=rr[inside], kind=kind[inside])


def _insert_ectopy(
    rng: np.random.Generator, rr: NDArray[np.float64], *, rhythm: str, ectopic_share: float
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    kind = np.full(len(rr), _NORMAL, dtype=np.int64)
    if rng.random() < 0.5 or ectopic_share == 0:
        return rr, kind
    share = rng.uniform(0.01, ectopic_share)
    premature = rng.random(len(rr)) < share
    premature[1:] &= ~premature[:-1]
    premature[0] = premature[-1] = False
    atrial_share = 0.0 if rhythm == "atrial_fibrillation" else rng.choice([0.1, 0.5, 0.9])
    atrial = premature & (rng.random(len(rr)) < atrial_share)
    kind[premature] = _VENTRICULAR
    kind[atrial] = _ATRIAL
    coupling = rng.uniform(0.55, 0.85, len(rr))
    early = np.where(premature, rr * (1 - coupling), 0.0)
    rr = rr - early
    # After a ventricular beat the sinus node keeps its time: the pause makes up for it.
    rr[1:] += np.where(kind == _VENTRICULAR, early, 0.15 * early)[:-1]
    return rr, kind


def _draw_waves(rng: np.random.Generator, *, with_p: bool) -> Waves:
    wide = 1.7 if rng.random() < 0.12 else 1.0
    p = rng.uniform(0.03, 0.18) if with_p else 0.0
    t = rng.uniform(0.08, 0.45) * (-1.0 if rng.random() < 0.15 else 1.0)
    r = rng.uniform(0.4, 1.5)
    axis = rng.uniform(0.0, 1.0)
    amplitude = [p, -rng.uniform(0.0, 0.2), r, -rng.uniform(0.0, 0.8) * axis, t]
    width = [
        rng.uniform(0.016, 0.028),
        0.008 * wide,
        rng.uniform(0.009, 0.014) * wide,
        rng.uniform(0.009, 0.014) * wide,
        rng.uniform(0.035, 0.065),
    ]
    pr = rng.uniform(0.12, 0.21)
    offset = [-pr, -0.028 * wide, 0.0, 0.032 * wide, rng.uniform(0.26, 0.34)]
    return Waves(
        amplitude_mv=np.array(amplitude), width_s=np.array(width), offset_s=np.array(offset)
    )


def _draw_ventricular(rng: np.random.Generator, waves: Waves) -> Waves:
    direction = 1.0 if rng.random() < 0.6 else -1.0
    peak = direction * rng.uniform(0.8, 1.6) * waves.amplitude_mv[2]
    amplitude = [0.0, -0.15 * peak, peak, -0.4 * peak, -0.35 * peak]
    width = [0.02, 0.02, rng.uniform(0.022, 0.034), rng.uniform(0.022, 0.034), 0.06]
    return Waves(
        amplitude_mv=np.array(amplitude),
        width_s=np.array(width),
        offset_s=np.array([-0.15, -0.06, 0.0, 0.07, 0.30]),
    )


def _render(
    beats: Beats, normal: Waves, ventricular: Waves, n_samples: int, fs_hz: float
) -> NDArray[np.float64]:
    signal = np.zeros(n_samples)
    # Bazett: the repolarisation follows the root of the interval before the beat.
    stretch = np.sqrt(np.clip(beats.rr_s, 0.35, 1.4))
    for waves, chosen in (
        (normal, beats.kind != _VENTRICULAR),
        (ventricular, beats.kind == _VENTRICULAR),
    ):
        if not chosen.any():
            continue
        for wave in range(_WAVES):
            scale = stretch[chosen] if wave == _WAVES - 1 else 1.0
            centre = beats.time_s[chosen] + waves.offset_s[wave] * scale
            width = waves.width_s[wave] * fs_hz
            reach = int(np.ceil(4 * width))
            middle = np.round(centre * fs_hz).astype(np.int64)
            index = middle[:, None] + np.arange(-reach, reach + 1)
            value = waves.amplitude_mv[wave] * np.exp(
                -0.5 * np.square((index - (centre * fs_hz)[:, None]) / width)
            )
            seen = (index >= 0) & (index < n_samples)
            signal += np.bincount(index[seen], weights=value[seen], minlength=n_samples)
    return signal


def _fibrillation(rng: np.random.Generator, time_s: NDArray[np.float64]) -> NDArray[np.float64]:
    rate = rng.uniform(4.5, 8.5)
    wobble = rng.uniform(0.2, 0.8) * np.sin(
        2 * np.pi * rng.uniform(0.1, 0.5) * time_s + rng.uniform(0, 2 * np.pi)
    )
    phase = 2 * np.pi * rate * time_s + wobble * 2 * np.pi
    swell = 1 + 0.5 * np.sin(2 * np.pi * rng.uniform(0.1, 0.4) * time_s + rng.uniform(0, 6.28))
    amplitude = rng.uniform(0.015, 0.09)
    return np.asarray(amplitude * swell * (np.sin(phase) + 0.4 * np.sin(2 * phase + 0.7)))


def _disturb(
    rng: np.random.Generator, time_s: NDArray[np.float64], fs_hz: float
) -> NDArray[np.float64]:
    n = len(time_s)
    wander = np.zeros(n)
    for frequency in rng.uniform(0.05, 0.6, 3):
        wander += rng.normal() * np.sin(2 * np.pi * frequency * time_s + rng.uniform(0, 6.28))
    wander *= rng.lognormal(np.log(0.08), 0.6)
    mains_hz = rng.choice([50.0, 60.0]) + rng.normal(0, 0.05)
    mains = rng.lognormal(np.log(0.02), 0.8) * np.sin(2 * np.pi * mains_hz * time_s)
    tension = np.full(n, 0.3)
    for centre in rng.uniform(0, time_s[-1], rng.poisson(time_s[-1] / 20)):
        tension += rng.uniform(0.5, 3.0) * np.exp(
            -0.5 * np.square((time_s - centre) / rng.uniform(0.3, 2.0))
        )
    muscle = rng.lognormal(np.log(0.05), 0.6) * tension * rng.normal(0, 1, n)
    motion = np.zeros(n)
    for begin in rng.uniform(0, time_s[-1], rng.poisson(time_s[-1] / 40)):
        after = time_s - begin
        jump = rng.normal(0, 0.5) * np.exp(-np.clip(after, 0, None) / rng.uniform(0.1, 0.6))
        motion += np.where(after >= 0, jump, 0.0)
    return np.asarray(wander + mains + muscle + motion)
