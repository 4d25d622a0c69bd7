"""Scalograms: the strength of each frequency over time, as an image of bytes per lead."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from ecgexp.errors import ConfigError
from ecgexp.preprocessing.pixels import WHITE

REAL_WAVELETS = ("mexh", "morl")
_FLAT = 1e-12
_LARGEST_MATRIX = 2**24  # coefficients x samples: 64 MiB of float32
_CHUNK = 2**21  # coefficients at a time: 8 MiB stay near the processor


def scalogram(
    x: NDArray[np.floating],
    fs_hz: float,
    *,
    wavelet: str,
    low_hz: float,
    high_hz: float,
    n_scales: int,
    n_columns: int,
) -> tuple[NDArray[np.uint8], float]:
    """Turn windows into images of their continuous wavelet transform.

    The magnitudes of each lead and window are stretched to 0..255 by their own extremes, then
    brought to `n_columns` by cubic interpolation, as OpenCV's INTER_CUBIC does it.

    Args:
        x: Windows (window, lead, sample), any unit.
        fs_hz: Sampling rate of `x`.
        wavelet: `mexh`, the Mexican hat, or `morl`, Morlet's.
        low_hz: Pseudo-frequency of the first row.
        high_hz: Pseudo-frequency of the last row; rows are equally spaced in Hz.
        n_scales: Rows of an image.
        n_columns: Columns of an image.

    Returns:
        Images (window, lead, row, column), and columns per second.

    Raises:
        ConfigError: The frequencies do not fit below half of the sampling rate, a size is not
            positive, or there is no such wavelet.
    """
    if not 0 < low_hz <= high_hz <= fs_hz / 2:
        raise ConfigError(
            f"preprocessing: scalogram low_hz={low_hz:g}, high_hz={high_hz:g} at fs_hz={fs_hz:g}: "
            f"needs 0 < low_hz <= high_hz <= {fs_hz / 2:g} (half of the sampling rate)"
        )
    if min(n_scales, n_columns) < 1:
        raise ConfigError(
            f"preprocessing: scalogram n_scales={n_scales}, n_columns={n_columns}: "
            "needs positive whole numbers"
        )
    n_samples = x.shape[-1]
    scales = _scales(wavelet, tuple(np.linspace(low_hz, high_hz, n_scales) / fs_hz))
    rows = np.asarray(x, dtype=np.float32).reshape(-1, n_samples)
    images = np.empty((len(rows), n_scales, n_columns), dtype=np.uint8)
    step = max(1, _CHUNK // (n_scales * n_samples))
    # Where the cores are busy, two threads wait for each other far longer than they help.
    with threadpool_limits(1):
        for begin in range(0, len(rows), step):
            coefficients = _transform(rows[begin : begin + step], scales, wavelet)
            images[begin : begin + step] = _pixels(coefficients, n_columns)
    shape = (*x.shape[:-1], n_scales, n_columns)
    return images.reshape(shape), fs_hz * n_columns / n_samples


@lru_cache(maxsize=4)
def _scales(wavelet: str, frequencies: tuple[float, ...]) -> tuple[float, ...]:
    import pywt

    if wavelet not in REAL_WAVELETS:
        raise ConfigError(
            f"preprocessing: scalogram wavelet={wavelet!r}: "
            f"choose one of {', '.join(REAL_WAVELETS)}"
        )
    return tuple(pywt.frequency2scale(wavelet, np.array(frequencies)).tolist())


def _transform(
    rows: NDArray[np.float32], scales: tuple[float, ...], wavelet: str
) -> NDArray[np.float32]:
    """Return the coefficients (window, scale, sample) of windows (window, sample)."""
    n_samples = rows.shape[-1]
    if n_samples * n_samples * len(scales) <= _LARGEST_MATRIX:
        # One product with the transform of unit impulses is several times faster than FFTs here.
        product = rows @ _impulse_responses(n_samples, scales, wavelet)
        return product.reshape(len(rows), len(scales), n_samples)
    return _cwt(rows, scales, wavelet)


@lru_cache(maxsize=2)
def _impulse_responses(
    n_samples: int, scales: tuple[float, ...], wavelet: str
) -> NDArray[np.float32]:
    impulses = np.eye(n_samples, dtype=np.float32)
    return _cwt(impulses, scales, wavelet).reshape(n_samples, -1)


def _cwt(rows: NDArray[np.float32], scales: tuple[float, ...], wavelet: str) -> NDArray[np.float32]:
    import pywt

    coefficients, _ = pywt.cwt(rows, scales, wavelet, method="fft")
    return np.ascontiguousarray(coefficients.transpose(1, 0, 2), dtype=np.float32)


def _pixels(coefficients: NDArray[np.float32], n_columns: int) -> NDArray[np.float32]:
    """Return whole grey values (window, scale, column) of coefficients (window, scale, sample)."""
    magnitudes = np.abs(coefficients, out=coefficients)
    low = magnitudes.min(axis=(1, 2), keepdims=True)
    span = magnitudes.max(axis=(1, 2), keepdims=True) - low
    magnitudes -= low
    magnitudes *= WHITE / np.maximum(span, _FLAT)
    pixels = magnitudes @ _cubic(magnitudes.shape[-1], n_columns)
    return np.rint(np.clip(pixels, 0, WHITE, out=pixels), out=pixels)


@lru_cache(maxsize=4)
def _cubic(n_samples: int, n_columns: int) -> NDArray[np.float32]:
    """Return the matrix (sample, column) of cubic interpolation with edges repeated."""
    a = -0.75
    place = (np.arange(n_columns) + 0.5) * n_samples / n_columns - 0.5
    matrix = np.zeros((n_samples, n_columns), dtype=np.float32)
    for tap in range(-1, 3):
        sample = np.floor(place).astype(np.int64) + tap
        away = np.abs(place - sample)
        near = ((a + 2) * away - (a + 3)) * away**2 + 1
        far = a * (((away - 5) * away + 8) * away - 4)
        weight = np.where(away <= 1, near, far)
        np.add.at(matrix, (np.clip(sample, 0, n_samples - 1), np.arange(n_columns)), weight)
    return matrix
