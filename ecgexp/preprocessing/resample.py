"""Change the sampling rate; a pure function, rates in Hz."""

from __future__ import annotations

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
    if to_hz <= 0:
        raise ConfigError(f"preprocessing: resample to_hz={to_hz:g}: needs a positive rate")
    if to_hz == fs_hz:
        return signal, fs_hz
    ratio = Fraction(to_hz).limit_denominator(1000) / Fraction(fs_hz).limit_denominator(1000)
    if max(ratio.numerator, ratio.denominator) > _LARGEST_FACTOR:
        raise ConfigError(
            f"preprocessing: resample from {fs_hz:g} Hz to to_hz={to_hz:g}: the ratio {ratio} has "
            f"a factor over {_LARGEST_FACTOR}; choose a rate with a simpler ratio"
        )
    # Padding along the line between the ends keeps an offset from ringing at the edges.
    resampled = resample_poly(signal, ratio.numerator, ratio.denominator, axis=-1, padtype="line")
    return np.asarray(resampled, dtype=np.float64), float(to_hz)
