"""Normalise single windows; pure functions that look at nothing but the window itself."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ecgexp.errors import ConfigError


def z_normalize(
    x: NDArray[np.floating], fs_hz: float, *, epsilon: float
) -> tuple[NDArray[np.floating], float]:
    """Give each window and lead mean 0 and deviation 1.

    `(x - mean) / sqrt(variance + epsilon)` over the samples, with the population variance:
    epsilon is added to the variance inside the root, so that a flat window becomes zeros and a
    weak one (in mV, variance near epsilon) is not blown up into noise.

    Args:
        x: Windows (..., sample) in mV.
        fs_hz: Sampling rate of `x`; not used.
        epsilon: In mV squared, positive.

    Returns:
        The normalised windows, same shape and dtype, and `fs_hz`.

    Raises:
        ConfigError: Epsilon is not positive.
    """
    if not epsilon > 0:
        raise ConfigError(
            f"preprocessing: z_normalize epsilon={epsilon:g}: needs a positive number, "
            "or a flat window would be divided by zero"
        )
    centred = x - x.mean(axis=-1, keepdims=True)
    variance = np.square(centred).mean(axis=-1, keepdims=True)
    return centred / np.sqrt(variance + epsilon), fs_hz


def min_max(
    x: NDArray[np.floating], fs_hz: float, *, low: float, high: float
) -> tuple[NDArray[np.floating], float]:
    """Stretch each window and lead from its smallest and largest value to a range.

    Args:
        x: Windows (..., sample), any unit.
        fs_hz: Sampling rate of `x`; not used.
        low: What the smallest value becomes; also a window that is flat.
        high: What the largest value becomes.

    Returns:
        The windows between `low` and `high`, same shape, and `fs_hz`.

    Raises:
        ConfigError: The range is empty.
    """
    if not low < high:
        raise ConfigError(f"preprocessing: min_max low={low:g}, high={high:g}: needs low < high")
    least = x.min(axis=-1, keepdims=True)
    extent = x.max(axis=-1, keepdims=True) - least
    share = np.divide(x - least, extent, out=np.zeros_like(x), where=extent > 0)
    return low + share * (high - low), fs_hz


def clip(
    x: NDArray[np.floating], fs_hz: float, *, limit: float
) -> tuple[NDArray[np.floating], float]:
    """Cut off what lies beyond a limit, such as the spikes of a loose electrode.

    Args:
        x: Signal or windows (..., sample).
        fs_hz: Sampling rate of `x`; not used.
        limit: Largest absolute value left, in the unit of `x`.

    Returns:
        The clipped values, same shape and dtype, and `fs_hz`.

    Raises:
        ConfigError: The limit is not positive.
    """
    if not limit > 0:
        raise ConfigError(f"preprocessing: clip limit={limit:g}: needs a positive number")
    return np.clip(x, -limit, limit), fs_hz
