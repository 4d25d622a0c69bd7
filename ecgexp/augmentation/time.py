"""Effects on the time of windows; each draws from the generator it is given and no other."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Windows = NDArray[np.float32]


def roll(x: Windows, fs_hz: float, rng: np.random.Generator, *, most_s: float) -> Windows:
    """Shift each window around its ends, all leads alike.

    Args:
        x: Windows (window, lead, sample).
        fs_hz: Sampling rate.
        rng: Where randomness comes from.
        most_s: Largest shift to either side in seconds.
    """
    most = min(round(most_s * fs_hz), x.shape[-1] - 1)
    shift = rng.integers(-most, most + 1, len(x))
    index = (np.arange(x.shape[-1]) - shift[:, None]) % x.shape[-1]
    return np.take_along_axis(x, index[:, None, :], axis=-1)


def stretch(x: Windows, fs_hz: float, rng: np.random.Generator, *, most: float) -> Windows:
    """Play each window faster or slower around its middle; outside stands the edge value.

    Args:
        x: Windows (window, lead, sample).
        fs_hz: Sampling rate; not used.
        rng: Where randomness comes from.
        most: Largest change of speed as a share, for example 0.06.
    """
    n_samples = x.shape[-1]
    middle = (n_samples - 1) / 2
    speed = rng.uniform(1.0 - most, 1.0 + most, (len(x), 1))
    place = np.clip(middle + (np.arange(n_samples) - middle) * speed, 0.0, n_samples - 1.0)
    left = np.minimum(place.astype(np.int64), n_samples - 2)[:, None]
    share = (place[:, None] - left).astype(np.float32)
    before = np.take_along_axis(x, left, axis=-1)
    after = np.take_along_axis(x, left + 1, axis=-1)
    return np.asarray(before + (after - before) * share, dtype=np.float32)


def cut_out(
    x: Windows, fs_hz: float, rng: np.random.Generator, *, n_cuts: int, most_s: float
) -> Windows:
    """Silence stretches of each window, in all leads.

    Args:
        x: Windows (window, lead, sample).
        fs_hz: Sampling rate.
        rng: Where randomness comes from.
        n_cuts: Stretches per window; they may overlap.
        most_s: Longest stretch in seconds.
    """
    n_samples = x.shape[-1]
    length = rng.uniform(0.0, min(most_s * fs_hz, n_samples), (len(x), n_cuts))
    begin = rng.uniform(0.0, 1.0, (len(x), n_cuts)) * (n_samples - length)
    place = np.arange(n_samples)
    inside = (place >= begin[..., None]) & (place < (begin + length)[..., None])
    return np.where(inside.any(axis=1)[:, None, :], np.float32(0.0), x)
