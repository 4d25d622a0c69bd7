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
