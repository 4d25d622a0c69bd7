"""Each step against the library it stands on, or against what the mathematics says."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from scipy import signal as sp
from sklearn.preprocessing import minmax_scale

from ecgexp.errors import ConfigError
from ecgexp.preprocessing.filters import bandpass, notch
from ecgexp.preprocessing.normalize import clip, min_max, z_normalize
from ecgexp.preprocessing.resample import resample, resample_fft

FS = 360.0


@pytest.fixture
def noise() -> np.ndarray:
    return np.random.default_rng(7).normal(0.3, 1.0, (2, 4000))


def tone(frequency: float, fs: float = FS, seconds: float = 20.0) -> np.ndarray:
    return np.sin(2 * np.pi * frequency * np.arange(int(fs * seconds)) / fs)[None]


def gain(x: np.ndarray, y: np.ndarray) -> float:
    middle = slice(x.shape[-1] // 4, -x.shape[-1] // 4)
    return float(np.std(y[:, middle]) / np.std(x[:, middle]))


def test_zero_phase_bandpass_equals_scipy(noise: np.ndarray) -> None:
    sections = sp.butter(3, [0.5, 40.0], "bandpass", fs=FS, output="sos")
    filtered, fs = bandpass(noise, FS, low_hz=0.5, high_hz=40.0, order=3, zero_phase=True)
    np.testing.assert_allclose(filtered, sp.sosfiltfilt(sections, noise), atol=1e-12)
    assert fs == FS


def test_causal_bandpass_equals_scipy_after_its_start(noise: np.ndarray) -> None:
    sections = sp.butter(2, [5.0, 40.0], "bandpass", fs=FS, output="sos")
    filtered, _ = bandpass(noise, FS, low_hz=5.0, high_hz=40.0, order=2, zero_phase=False)
    np.testing.assert_allclose(filtered[:, 2000:], sp.sosfilt(sections, noise)[:, 2000:], atol=1e-9)


def test_causal_filter_sees_no_future(noise: np.ndarray) -> None:
    changed = noise.copy()
    changed[:, 3000:] += 5
    arguments = {"low_hz": 0.5, "high_hz": 40.0, "order": 3, "zero_phase": False}
    np.testing.assert_array_equal(
        bandpass(noise, FS, **arguments)[0][:, :3000],
        bandpass(changed, FS, **arguments)[0][:, :3000],
    )


def test_causal_filter_starts_at_rest_on_an_offset() -> None:
    filtered, _ = bandpass(
        np.full((1, 2000), 1.7), FS, low_hz=0.5, high_hz=40.0, order=3, zero_phase=False
    )
    assert np.abs(filtered).max() < 1e-9


@pytest.mark.parametrize(
    ("frequency", "low", "high"), [(0.05, 0, 0.01), (10, 0.99, 1.01), (100, 0, 0.01)]
)
def test_bandpass_keeps_its_band_only(frequency: float, low: float, high: float) -> None:
    x = tone(frequency, seconds=60)
    filtered, _ = bandpass(x, FS, low_hz=0.5, high_hz=40.0, order=3, zero_phase=True)
    assert low <= gain(x, filtered) <= high


def test_zero_phase_does_not_move_a_peak() -> None:
    x = np.exp(-0.5 * np.square((np.arange(4000) - 2000) / 5.0))[None]
    filtered, _ = bandpass(x, FS, low_hz=0.5, high_hz=40.0, order=3, zero_phase=True)
    assert int(filtered.argmax()) == 2000


@pytest.mark.parametrize("zero_phase", [True, False])
def test_notch_removes_mains_and_leaves_the_rest(zero_phase: bool) -> None:
    x = tone(10.0) + tone(60.0)
    cleaned, fs = notch(x, FS, mains_hz=60.0, quality=30.0, zero_phase=zero_phase)
    assert gain(tone(10.0), cleaned) == pytest.approx(1.0, abs=0.02)
    assert fs == FS


def test_resample_keeps_a_tone_in_time() -> None:
    y, fs = resample(tone(7.0), FS, to_hz=100.0)
    expected = tone(7.0, fs=100.0)
    assert fs == 100.0
    assert y.shape == expected.shape
    np.testing.assert_allclose(y[:, 100:-100], expected[:, 100:-100], atol=2e-3)


def test_resample_removes_what_would_fold() -> None:
    y, _ = resample(tone(80.0), FS, to_hz=100.0)
    assert np.std(y[:, 100:-100]) < 0.01


def test_resample_does_not_ring_on_an_offset() -> None:
    y, _ = resample(np.full((1, 3600), 5.0), FS, to_hz=125.0)
    np.testing.assert_allclose(y, 5.0, atol=1e-3)


def test_resample_to_the_same_rate_changes_nothing(noise: np.ndarray) -> None:
    np.testing.assert_array_equal(resample(noise, FS, to_hz=FS)[0], noise)


@pytest.mark.parametrize("seconds", [8.0, 9.997])
def test_resample_fft_is_scipys_of_a_fitting_length(seconds: float) -> None:
    n = round(500 * seconds)
    x = np.random.default_rng(3).normal(0.3, 1.0, (2, 3, n))
    y, fs = resample_fft(x, 500.0, to_hz=100.0)
    fitting = np.concatenate([x, np.repeat(x[..., -1:], -n % 5, axis=-1)], axis=-1)
    np.testing.assert_allclose(y, sp.resample(fitting, -(-n // 5), axis=-1), atol=1e-12)
    assert fs == 100.0


def test_resample_fft_keeps_a_periodic_tone_exactly() -> None:
    y, _ = resample_fft(tone(7.0), FS, to_hz=100.0)
    np.testing.assert_allclose(y, tone(7.0, fs=100.0), atol=1e-9)
    np.testing.assert_array_equal(resample_fft(y, FS, to_hz=FS)[0], y)


def test_min_max_is_that_of_scikit_learn() -> None:
    x = np.random.default_rng(1).normal(2.0, 0.2, (5, 2, 400)).astype(np.float32)
    y, fs = min_max(x, 100.0, low=-1.0, high=1.0)
    expected = minmax_scale(x.reshape(10, 400), (-1, 1), axis=1).reshape(x.shape)
    np.testing.assert_allclose(y, expected, atol=1e-5)
    assert (fs, y.dtype) == (100.0, np.float32)
    flat = min_max(np.full((1, 1, 50), 3.0), 100.0, low=-1.0, high=1.0)[0]
    np.testing.assert_array_equal(flat, np.full((1, 1, 50), -1.0))


def test_z_normalize_has_epsilon_inside_the_root() -> None:
    x = np.random.default_rng(1).normal(2.0, 0.2, (5, 2, 400)).astype(np.float32)
    y, _ = z_normalize(x, 100.0, epsilon=0.01)
    expected = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 0.01)
    np.testing.assert_allclose(y, expected, atol=1e-5)


def test_z_normalize_makes_a_flat_window_zero() -> None:
    assert not z_normalize(np.full((1, 1, 50), 3.0), 100.0, epsilon=0.01)[0].any()


BAD_PARAMETERS = {
    r"bandpass low_hz=0.5, high_hz=50 at fs_hz=100: needs 0 < low_hz < high_hz < 50": partial(
        bandpass, low_hz=0.5, high_hz=50.0, order=3, zero_phase=True
    ),
    r"bandpass order=0": partial(bandpass, low_hz=0.5, high_hz=40.0, order=0, zero_phase=True),
    r"notch mains_hz=60 at fs_hz=100": partial(notch, mains_hz=60.0, quality=30.0, zero_phase=True),
    r"notch quality=0": partial(notch, mains_hz=45.0, quality=0.0, zero_phase=True),
    r"resample to_hz=0: needs a positive rate": partial(resample, to_hz=0.0),
    r"choose a rate with a simpler ratio": partial(resample, to_hz=99.997),
    r"resample to_hz=-5: needs a positive rate": partial(resample_fft, to_hz=-5.0),
    r"min_max low=1, high=1: needs low < high": partial(min_max, low=1.0, high=1.0),
    r"z_normalize epsilon=0: needs a positive number": partial(z_normalize, epsilon=0.0),
}


@pytest.mark.parametrize("message", BAD_PARAMETERS)
def test_bad_parameters_name_themselves(message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        BAD_PARAMETERS[message](np.zeros((1, 500)), 100.0)


def test_clip_leaves_what_is_inside(noise: np.ndarray) -> None:
    clipped, fs_hz = clip(noise, FS, limit=0.8)
    assert fs_hz == FS
    inside = np.abs(noise) < 0.8
    np.testing.assert_array_equal(clipped[inside], noise[inside])
    np.testing.assert_array_equal(clipped[~inside], 0.8 * np.sign(noise[~inside]))
    with pytest.raises(ConfigError, match=r"preprocessing: clip limit=0: needs a positive number"):
        clip(noise, FS, limit=0.0)
