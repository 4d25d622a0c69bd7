"""Band-pass, notch and median filters; pure functions, frequencies in Hz, lengths in seconds."""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

from ecgexp.errors import ConfigError


def bandpass(
    x: NDArray[np.floating],
    fs_hz: float,
    *,
    low_hz: float,
    high_hz: float,
    order: int,
    zero_phase: bool,
) -> tuple[NDArray[np.float64], float]:
    """Keep the band between two edges with a Butterworth filter.

    Args:
        x: Signal (..., sample), any unit.
        fs_hz: Sampling rate of `x`.
        low_hz: Lower -3 dB edge (-6 dB when `zero_phase`).
        high_hz: Upper edge, below half of `fs_hz`.
        order: Order of the low-pass prototype; the band-pass has twice as many poles.
        zero_phase: Run forwards and backwards (no delay, needs the whole record); otherwise run
            forwards only, as a device that filters while it listens, started at rest on the
            first sample.

    Returns:
        The filtered signal, same shape, and `fs_hz`.

    Raises:
        ConfigError: The edges do not fit below half of the sampling rate or the order is not
            positive.
    """
    if not 0 < low_hz < high_hz < fs_hz / 2:
        raise ConfigError(
            f"preprocessing: bandpass low_hz={low_hz:g}, high_hz={high_hz:g} at fs_hz={fs_hz:g}: "
            f"needs 0 < low_hz < high_hz < {fs_hz / 2:g} (half of the sampling rate)"
        )
    if order < 1:
        raise ConfigError(f"preprocessing: bandpass order={order}: needs a positive whole number")
    return _apply(_band_sections(order, low_hz, high_hz, fs_hz), x, zero_phase=zero_phase), fs_hz


def notch(
    x: NDArray[np.floating], fs_hz: float, *, mains_hz: float, quality: float, zero_phase: bool
) -> tuple[NDArray[np.float64], float]:
    """Remove one frequency, usually the mains.

    Args:
        x: Signal (..., sample), any unit.
        fs_hz: Sampling rate of `x`.
        mains_hz: Frequency to remove, below half of `fs_hz`.
        quality: Centre frequency over -3 dB bandwidth.
        zero_phase: Run forwards and backwards.

    Returns:
        The filtered signal, same shape, and `fs_hz`.

    Raises:
        ConfigError: The frequency is not below half of the sampling rate.
    """
    from scipy.signal import iirnotch, tf2sos

    if not 0 < mains_hz < fs_hz / 2:
        raise ConfigError(
            f"preprocessing: notch mains_hz={mains_hz:g} at fs_hz={fs_hz:g}: "
            f"needs 0 < mains_hz < {fs_hz / 2:g} (half of the sampling rate)"
        )
    if quality <= 0:
        raise ConfigError(f"preprocessing: notch quality={quality:g}: needs a positive number")
    sections = tf2sos(*iirnotch(mains_hz, quality, fs=fs_hz))
    return _apply(sections, x, zero_phase=zero_phase), fs_hz


def remove_median_baseline(
    x: NDArray[np.floating], fs_hz: float, *, first_s: float, second_s: float
) -> tuple[NDArray[np.floating], float]:
    """Subtract the baseline that two medians in a row leave of the signal.

    Args:
        x: Signal (..., sample), any unit.
        fs_hz: Sampling rate of `x`.
        first_s: Width of the first median, which takes out QRS complexes and P waves (0.2 s); an
            even number of samples becomes one less.
        second_s: Width of the second, which takes out T waves (0.6 s).

    Returns:
        The signal without its baseline, same shape, and `fs_hz`.

    Raises:
        ConfigError: A width is shorter than one sample.
    """
    from scipy.ndimage import median_filter

    baseline = np.asarray(x)
    for key, seconds in (("first_s", first_s), ("second_s", second_s)):
        width = round(seconds * fs_hz)
        if width < 1:
            raise ConfigError(
                f"preprocessing: remove_median_baseline {key}={seconds:g} at fs_hz={fs_hz:g}: "
                "needs at least one sample"
            )
        odd = width - 1 + width % 2
        # Row by row: SciPy has a hundred times faster median for one dimension.
        rows = [median_filter(row, odd, mode="nearest") for row in _rows(baseline)]
        baseline = np.reshape(rows, baseline.shape)
    return x - baseline, fs_hz


@functools.cache
def _band_sections(order: int, low_hz: float, high_hz: float, fs_hz: float) -> NDArray[np.float64]:
    """Return the filter's sections (section, coefficient); designing it takes as long as a use."""
    from scipy.signal import butter

    sections = butter(order, (low_hz, high_hz), btype="bandpass", fs=fs_hz, output="sos")
    return np.asarray(sections, dtype=np.float64)


def _rows(x: NDArray[np.floating]) -> NDArray[np.floating]:
    return x.reshape(-1, x.shape[-1])


def _apply(
    sections: NDArray[np.float64], x: NDArray[np.floating], *, zero_phase: bool
) -> NDArray[np.float64]:
    from scipy.signal import sosfilt, sosfilt_zi, sosfiltfilt

    # A 0.5-Hz edge puts poles so near the unit circle that float32 states drift.
    signal = np.asarray(x, dtype=np.float64)
    if zero_phase:
        longest_pad = 3 * (2 * len(sections) + 1)
        filtered = sosfiltfilt(sections, signal, padlen=min(longest_pad, signal.shape[-1] - 1))
        return np.asarray(filtered, dtype=np.float64)
    at_rest = sosfilt_zi(sections).reshape(len(sections), *(1,) * (signal.ndim - 1), 2)
    filtered, _ = sosfilt(sections, signal, zi=at_rest * signal[..., :1])
    return np.asarray(filtered, dtype=np.float64)
