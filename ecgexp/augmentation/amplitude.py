"""Effects on the values of windows; each draws from the generator it is given and no other."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Windows = NDArray[np.float32]


def gain(x: Windows, fs_hz: float, rng: np.random.Generator, *, deviation: float) -> Windows:
    """Multiply each window by a log-normal factor.

    Args:
        x: Windows (window, lead, sample).
        fs_hz: Sampling rate; not used.
        rng: Where randomness comes from.
        deviation: Standard deviation of the factor's logarithm.
    """
    factor = np.exp(rng.normal(0.0, deviation, (len(x), 1, 1)))
    return np.asarray(x * factor, dtype=np.float32)


def flip(x: Windows, fs_hz: float, rng: np.random.Generator, *, share: float) -> Windows:
    """Turn a share of the windows upside down, as swapped electrodes do.

    Args:
        x: Windows (window, lead, sample).
        fs_hz: Sampling rate; not used.
        rng: Where randomness comes from.
        share: Probability of a window to be turned.
    """
    sign = np.where(rng.random((len(x), 1, 1)) < share, -1.0, 1.0)
    return np.asarray(x * sign, dtype=np.float32)


def amplitude_warp(
    x: Windows, fs_hz: float, rng: np.random.Generator, *, rate_hz: float, deviation: float
) -> Windows:
    """Multiply by a slowly changing factor around 1.

    Args:
        x: Windows (window, lead, sample).
        fs_hz: Sampling rate.
        rng: Where randomness comes from.
        rate_hz: How many new factors a second.
        deviation: Standard deviation of the factors.
    """
    factor = 1.0 + deviation * _slow(rng, len(x), x.shape[-1], fs_hz, rate_hz)
    return np.asarray(x * factor, dtype=np.float32)


def baseline_wander(
    x: Windows, fs_hz: float, rng: np.random.Generator, *, rate_hz: float, amplitude: float
) -> Windows:
    """Add a slowly changing value, as breathing and electrodes do.

    Args:
        x: Windows (window, lead, sample).
        fs_hz: Sampling rate.
        rng: Where randomness comes from.
        rate_hz: How many new values a second.
        amplitude: Largest standard deviation of the values, in the unit of `x`.
    """
    size = rng.uniform(0.0, amplitude, (len(x), 1, 1))
    return np.asarray(x + size * _slow(rng, len(x), x.shape[-1], fs_hz, rate_hz), dtype=np.float32)


def mains(
    x: Windows, fs_hz: float, rng: np.random.Generator, *, mains_hz: float, amplitude: float
) -> Windows:
    """Add the hum of the mains with a random phase.

    Args:
        x: Windows (window, lead, sample).
        fs_hz: Sampling rate; a frequency over half of it appears where sampling folds it to.
        rng: Where randomness comes from.
        mains_hz: 50 or 60.
        amplitude: Largest amplitude, in the unit of `x`.
    """
    size = rng.uniform(0.0, amplitude, (len(x), 1, 1))
    phase = rng.uniform(0.0, 2 * np.pi, (len(x), 1, 1))
    angle = 2 * np.pi * mains_hz * np.arange(x.shape[-1]) / fs_hz
    return np.asarray(x + size * np.sin(angle + phase), dtype=np.float32)


def noise(x: Windows, fs_hz: float, rng: np.random.Generator, *, deviation: float) -> Windows:
    """Add white noise.

    Args:
        x: Windows (window, lead, sample).
        fs_hz: Sampling rate; not used.
        rng: Where randomness comes from.
        deviation: Largest standard deviation, in the unit of `x`.
    """
    size = rng.uniform(0.0, deviation, (len(x), 1, 1))
    return np.asarray(x + size * rng.standard_normal(x.shape), dtype=np.float32)


def lead_drop(x: Windows, fs_hz: float, rng: np.random.Generator, *, share: float) -> Windows:
    """Silence leads, but never the last one of a window.

    Args:
        x: Windows (window, lead, sample).
        fs_hz: Sampling rate; not used.
        rng: Where randomness comes from.
        share: Probability of a lead to be silenced.
    """
    kept = rng.random(x.shape[:2]) >= share
    kept[np.arange(len(x)), rng.integers(0, x.shape[1], len(x))] = True
    return np.where(kept[:, :, None], x, np.float32(0.0))


def _slow(
    rng: np.random.Generator, n_windows: int, n_samples: int, fs_hz: float, rate_hz: float
) -> NDArray[np.float64]:
    """Draw normal values at a rate and join them with half cosines (window, 1, sample)."""
    place = np.arange(n_samples) * (rate_hz / fs_hz)
    knots = rng.standard_normal((n_windows, math.floor(place[-1]) + 2))
    left = np.floor(place).astype(np.int64)
    share = (1.0 - np.cos(np.pi * (place - left))) / 2.0
    return np.asarray((knots[:, left] * (1.0 - share) + knots[:, left + 1] * share)[:, None])
