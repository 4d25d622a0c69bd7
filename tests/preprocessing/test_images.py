"""Scalograms against PyWavelets and torch, spectrograms against SciPy and known tones."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import pywt
import torch
from scipy import signal as sp

from ecgexp.errors import ConfigError
from ecgexp.preprocessing import wavelet
from ecgexp.preprocessing.align import align_peak
from ecgexp.preprocessing.chain import Chain
from ecgexp.preprocessing.filters import remove_median_baseline
from ecgexp.preprocessing.pixels import FloatPixels
from ecgexp.preprocessing.spectrum import spectrogram
from ecgexp.preprocessing.wavelet import scalogram

FS = 360.0
THESIS: dict[str, Any] = {
    "wavelet": "mexh",
    "low_hz": 1.0,
    "high_hz": 100.0,
    "n_scales": 100,
    "n_columns": 100,
}
SHORT: dict[str, Any] = {"segment_s": 0.5, "step_s": 0.1, "high_hz": 40.0, "range_db": 60.0}


def beats(n: int, n_samples: int = 200) -> np.ndarray:
    return np.random.default_rng(3).normal(0, 1, (n, 2, n_samples)).cumsum(-1).astype(np.float32)


def reference(x: np.ndarray, options: dict[str, Any]) -> np.ndarray:
    """Make one image per row with PyWavelets' convolutions and torch's bicubic interpolation."""
    scales = 0.25 * FS / np.linspace(options["low_hz"], options["high_hz"], options["n_scales"])
    coefficients, _ = pywt.cwt(x, scales, options["wavelet"], method="conv")
    magnitude = np.abs(coefficients).transpose(1, 0, 2)
    low = magnitude.min((1, 2), keepdims=True)
    grey = torch.from_numpy(255 * (magnitude - low) / (magnitude.max((1, 2), keepdims=True) - low))
    size = (options["n_scales"], options["n_columns"])
    narrow = torch.nn.functional.interpolate(grey[None], size, mode="bicubic")[0]
    return narrow.clamp(0, 255).numpy()


@pytest.mark.parametrize(
    "changes", [{}, {"n_columns": 73}, {"low_hz": 2.0, "high_hz": 40.0, "n_scales": 20}], ids=str
)
@pytest.mark.parametrize("matrix", [True, False])
def test_scalogram_equals_pywavelets_and_bicubic_interpolation(
    changes: dict[str, Any], matrix: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not matrix:
        monkeypatch.setattr(wavelet, "_LARGEST_MATRIX", 0)
    monkeypatch.setattr(wavelet, "_CHUNK", 50_000)  # several chunks, the last one not full
    x, options = beats(4), {**THESIS, **changes}
    images, columns_hz = scalogram(x, FS, **options)
    assert images.shape == (4, 2, options["n_scales"], options["n_columns"])
    assert columns_hz == pytest.approx(FS * options["n_columns"] / 200)
    expected = reference(x.reshape(8, -1), options).reshape(images.shape)
    assert np.abs(images - expected).max() < 0.52
    assert {int(image.max()) for image in images.reshape(8, -1)} <= set(range(245, 256))


def test_a_tone_is_brightest_in_its_row() -> None:
    t = np.arange(720) / FS
    for frequency in (10, 40):
        x = np.sin(2 * np.pi * frequency * t)[None, None]
        image = scalogram(x, FS, **THESIS)[0][0, 0]
        brightest = 1 + image[:, 40:60].astype(float).sum(1).argmax()
        assert brightest == pytest.approx(frequency, rel=0.25)


def test_a_flat_window_makes_a_black_image() -> None:
    assert scalogram(np.zeros((2, 1, 200), np.float32), FS, **THESIS)[0].max() == 0


def test_amplitude_does_not_matter_to_an_image() -> None:
    x = beats(3)
    images, louder = (scalogram(factor * x, FS, **THESIS)[0] for factor in (1.0, 4.0))
    np.testing.assert_array_equal(images, louder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"high_hz": 181.0}, r"high_hz=181 at fs_hz=360: needs 0 < low_hz <= high_hz <= 180"),
        ({"low_hz": 0.0}, r"low_hz=0, high_hz=100"),
        ({"n_columns": 0}, r"n_columns=0: needs positive whole numbers"),
        ({"wavelet": "haar"}, r"wavelet='haar': choose one of mexh, morl"),
    ],
)
def test_a_wrong_scalogram_is_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        scalogram(beats(1), FS, **{**THESIS, **changes})


def test_spectrogram_equals_scipy() -> None:
    x = beats(2, 720)
    images, columns_hz = spectrogram(x, FS, **SHORT)
    frequencies, _, power = sp.spectrogram(x, FS, window="hann", nperseg=180, noverlap=144)
    power = power[..., frequencies <= 40.0, :]
    decibel = 10 * np.log10(power / power.max((-2, -1), keepdims=True))
    assert images.shape == power.shape
    assert columns_hz == 10.0
    assert np.abs(images - 255 * (1 + decibel.clip(-60) / 60)).max() <= 0.501


def test_a_tone_stands_in_its_row_of_the_spectrogram() -> None:
    x = np.sin(2 * np.pi * 12 * np.arange(720) / FS)[None, None]
    image = spectrogram(x, FS, **SHORT)[0][0, 0]
    assert set(image.argmax(0).tolist()) == {6}  # rows are 2 Hz apart
    assert spectrogram(0 * x, FS, **SHORT)[0].max() == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"segment_s": 3.0}, r"segment_s=3, .*inside the window of 720 samples"),
        ({"step_s": 0.6}, r"step_s=0\.6"),
        ({"high_hz": 200.0}, r"high_hz=200, .*needs 0 < high_hz <= 180"),
        ({"range_db": 0.0}, r"range_db=0"),
    ],
)
def test_a_wrong_spectrogram_is_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        spectrogram(beats(1, 720), FS, **{**SHORT, **changes})


ALIGN: dict[str, Any] = {"beat_s": 0.3, "search_s": 0.05, "before_s": 0.25, "after_s": 0.3056}


@pytest.mark.parametrize("late", [-18, -5, 0, 18])
def test_the_peak_stands_where_the_annotation_stood(late: int) -> None:
    x = np.random.default_rng(0).uniform(-0.5, 0.5, (3, 2, 236)).astype(np.float32)
    x[:, 0, 108 + late] = 2.0
    x[:, 0, 108 - 19] = x[:, 0, 108 + 19] = 3.0  # higher, but too far away
    aligned, fs_hz = align_peak(x, FS, **ALIGN)
    assert (aligned.shape, fs_hz) == ((3, 2, 200), FS)
    assert np.all(aligned[:, 0, 90] == 2.0)
    np.testing.assert_array_equal(aligned, x[:, :, 18 + late : 218 + late])


def test_a_window_too_short_to_align_is_named() -> None:
    with pytest.raises(ConfigError, match=r"needs samples 0 to 236 of a window of 235"):
        align_peak(np.zeros((1, 1, 235)), FS, **ALIGN)


def test_two_medians_follow_the_drift_and_leave_the_beats() -> None:
    t = np.arange(3600) / FS
    drift = 0.5 * np.sin(2 * np.pi * 0.1 * t)
    spikes = np.zeros((2, 3600))
    spikes[:, 180::300] = 1.0
    cleaned, fs_hz = remove_median_baseline(spikes + drift, FS, first_s=0.2, second_s=0.6)
    inside = slice(200, -200)
    assert np.abs((cleaned - spikes)[:, inside]).max() < 0.02
    assert fs_hz == FS
    x = np.random.default_rng(1).normal(0, 1, (1, 900))
    expected = x[0] - sp.medfilt(sp.medfilt(x[0], 71), 215)  # 0.2 and 0.6 s, made odd
    cleaned, _ = remove_median_baseline(x, FS, first_s=0.2, second_s=0.6)
    np.testing.assert_allclose(cleaned[0, 150:-150], expected[150:-150])
    with pytest.raises(ConfigError, match=r"second_s=0\.001 at fs_hz=360: needs at least one"):
        remove_median_baseline(x, FS, first_s=0.2, second_s=0.001)


def test_a_chain_serves_what_it_stores() -> None:
    def to_bytes(x: np.ndarray, fs_hz: float) -> tuple[np.ndarray, float]:
        return scalogram(x, fs_hz, **THESIS)

    chain = Chain(record=[], window=[to_bytes])
    x = beats(5)
    stored, _ = chain.stored_window(x, FS)
    served, _ = chain.apply_window(x, FS)
    assert (stored.dtype, served.dtype) == (np.uint8, np.float32)
    lazy = FloatPixels(stored)
    assert (len(lazy), lazy.shape, lazy.dtype) == (5, (5, 2, 100, 100), np.float32)
    for index in (2, slice(1, 4), np.array([4, 0])):
        np.testing.assert_array_equal(lazy[index], served[index])
        assert lazy[index].dtype == np.float32
    np.testing.assert_array_equal(np.asarray(lazy), stored / np.float32(255))
