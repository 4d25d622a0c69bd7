"""Spectrograms: power over frequency and time, as an image of bytes per lead."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ecgexp.errors import ConfigError
from ecgexp.preprocessing.pixels import WHITE


def spectrogram(
    x: NDArray[np.floating],
    fs_hz: float,
    *,
    segment_s: float,
    step_s: float,
    high_hz: float,
    range_db: float,
) -> tuple[NDArray[np.uint8], float]:
    """Turn windows into images of their short-time power spectrum.

    Each lead and window is scaled by its own strongest bin: that one is 255, and what lies
    `range_db` or more below it is 0. The mean of each segment is removed.

    Args:
        x: Windows (window, lead, sample), any unit.
        fs_hz: Sampling rate of `x`.
        segment_s: Length of a segment in seconds; rows are 1 / segment_s apart, in Hz.
        step_s: Seconds from one column to the next.
        high_hz: Frequency of the last row, at most half of the sampling rate.
        range_db: Distance of black from white in dB.

    Returns:
        Images (window, lead, row, column), lowest frequency first, and columns per second.

    Raises:
        ConfigError: A length does not fit into the window, or a frequency not below half of the
            sampling rate.
    """
    from scipy.signal import spectrogram as power_spectrogram

    segment, step = round(segment_s * fs_hz), round(step_s * fs_hz)
    if not 2 <= segment <= x.shape[-1] or not 1 <= step <= segment:
        raise ConfigError(
            f"preprocessing: spectrogram segment_s={segment_s:g}, step_s={step_s:g} at "
            f"fs_hz={fs_hz:g}: needs a segment inside the window of {x.shape[-1]} samples and a "
            "step of at least one sample, not longer than the segment"
        )
    if not 0 < high_hz <= fs_hz / 2 or range_db <= 0:
        raise ConfigError(
            f"preprocessing: spectrogram high_hz={high_hz:g}, range_db={range_db:g}: needs "
            f"0 < high_hz <= {fs_hz / 2:g} (half of the sampling rate) and a positive range"
        )
    frequencies, _, power = power_spectrogram(
        x, fs_hz, window="hann", nperseg=segment, noverlap=segment - step
    )
    power = power[..., frequencies <= high_hz, :]
    strongest = np.maximum(power.max(axis=(-2, -1), keepdims=True), np.finfo(np.float32).tiny)
    faintest = 10.0 ** (-range_db / 10.0)
    decibel = 10.0 * np.log10(np.maximum(power / strongest, faintest))
    return np.rint(WHITE * (1.0 + decibel / range_db)).astype(np.uint8), fs_hz / step
