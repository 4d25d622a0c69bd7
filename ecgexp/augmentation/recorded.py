"""Noise that was recorded; drawn from the generator that is given and no other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ecgexp.errors import ConfigError, DataError

Windows = NDArray[np.float32]


class Recordings(Protocol):
    """Where noise comes from."""

    def signals(self, fs_hz: float) -> Sequence[NDArray[np.float32]]:
        """Return recordings (lead, sample) at a rate."""
        ...


def recorded_noise(
    x: Windows,
    fs_hz: float,
    rng: np.random.Generator,
    *,
    noise: Recordings,
    least_snr_db: float,
    most_snr_db: float,
) -> Windows:
    """Add an excerpt of a recording to each lead, as loud as a drawn ratio says.

    The ratio is that of the powers (mean squares around the mean) of the whole window and of the
    excerpt. A flat window stays as it is.

    Args:
        x: Windows (window, lead, sample).
        fs_hz: Sampling rate.
        rng: Where randomness comes from.
        noise: What is added; each lead of a window gets another place of one recording.
        least_snr_db: Loudest noise: signal over noise in dB.
        most_snr_db: Faintest noise.

    Raises:
        ConfigError: The range is empty.
        DataError: A recording is missing, or shorter than a window.
    """
    if least_snr_db > most_snr_db:
        raise ConfigError(
            f"augmentation: recorded_noise least_snr_db={least_snr_db:g} is over "
            f"most_snr_db={most_snr_db:g}"
        )
    n_samples = x.shape[-1]
    recordings = noise.signals(fs_hz)
    shortest = min(recording.shape[-1] for recording in recordings)
    if shortest < n_samples:
        raise DataError(
            f"augmentation: recorded noise of {shortest / fs_hz:g} s is shorter than a window of "
            f"{n_samples / fs_hz:g} s; use longer recordings"
        )
    excerpts = np.empty(x.shape, dtype=np.float64)
    for window, number in enumerate(rng.integers(0, len(recordings), len(x))):
        recording = recordings[number]
        row = rng.integers(0, len(recording), (x.shape[1],))
        first = rng.integers(0, recording.shape[-1] - n_samples + 1, (x.shape[1],))
        excerpts[window] = recording[row[:, None], first[:, None] + np.arange(n_samples)]
    snr_db = rng.uniform(least_snr_db, most_snr_db, (len(x), 1, 1))
    wanted = x.var(axis=(1, 2), keepdims=True, dtype=np.float64) / 10.0 ** (snr_db / 10.0)
    excerpts -= excerpts.mean(axis=-1, keepdims=True)
    power = np.square(excerpts).mean(axis=(1, 2), keepdims=True)
    factor = np.sqrt(np.divide(wanted, power, out=np.zeros_like(wanted), where=power > 0))
    return np.asarray(x + factor * excerpts, dtype=np.float32)
