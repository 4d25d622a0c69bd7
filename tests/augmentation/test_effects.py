"""Every effect: pure, seeded, of the same shape; and what it does against plain arithmetic."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from types import FunctionType
from typing import Any

import numpy as np
import pytest

from ecgexp.augmentation import amplitude, recorded, time

FS = 100.0


class Hiss:
    """Ten seconds of noise in two leads, on an offset."""

    def signals(self, fs_hz: float) -> tuple[np.ndarray, ...]:
        rng = np.random.default_rng(9)
        return (rng.normal(3.0, 0.1, (2, 1000)).astype(np.float32),)


EFFECTS: dict[str, Callable[..., Any]] = {
    "gain": partial(amplitude.gain, deviation=0.15),
    "flip": partial(amplitude.flip, share=0.5),
    "amplitude_warp": partial(amplitude.amplitude_warp, rate_hz=1.0, deviation=0.1),
    "baseline_wander": partial(amplitude.baseline_wander, rate_hz=0.5, amplitude=0.2),
    "mains": partial(amplitude.mains, mains_hz=50.0, amplitude=0.1),
    "noise": partial(amplitude.noise, deviation=0.05),
    "lead_drop": partial(amplitude.lead_drop, share=0.5),
    "recorded_noise": partial(
        recorded.recorded_noise, noise=Hiss(), least_snr_db=6.0, most_snr_db=24.0
    ),
    "roll": partial(time.roll, most_s=1.0),
    "stretch": partial(time.stretch, most=0.06),
    "cut_out": partial(time.cut_out, n_cuts=2, most_s=0.5),
}


def windows(n: int = 8, leads: int = 3, samples: int = 500) -> np.ndarray:
    return np.random.default_rng(0).normal(0, 1, (n, leads, samples)).astype(np.float32)


@pytest.mark.parametrize("name", EFFECTS)
def test_effect_is_pure_and_seeded(name: str) -> None:
    x = windows()
    kept = x.copy()
    first = EFFECTS[name](x, FS, np.random.default_rng(1))
    again = EFFECTS[name](x, FS, np.random.default_rng(1))
    other = EFFECTS[name](x, FS, np.random.default_rng(2))
    np.testing.assert_array_equal(x, kept)
    np.testing.assert_array_equal(first, again)
    assert first.shape == x.shape
    assert first.dtype == np.float32
    assert not np.array_equal(first, other)
    assert np.isfinite(first).all()


def test_every_public_function_is_in_the_battery() -> None:
    made = {
        name
        for module in (amplitude, recorded, time)
        for name, member in vars(module).items()
        if isinstance(member, FunctionType) and member.__module__ == module.__name__
    }
    assert {name for name in made if not name.startswith("_")} == set(EFFECTS)


def test_gain_and_flip_scale_whole_windows() -> None:
    x = windows()
    for name in ("gain", "flip"):
        ratio = EFFECTS[name](x, FS, np.random.default_rng(1)) / x
        np.testing.assert_allclose(ratio, np.broadcast_to(ratio[:, :1, :1], x.shape), rtol=1e-5)
    signs = amplitude.flip(x, FS, np.random.default_rng(1), share=1.0)
    np.testing.assert_array_equal(signs, -x)


def test_wander_is_slow_and_the_same_in_all_leads() -> None:
    x = np.zeros((4, 2, 1000), dtype=np.float32)
    wander = amplitude.baseline_wander(x, FS, np.random.default_rng(1), rate_hz=0.5, amplitude=1.0)
    np.testing.assert_array_equal(wander[:, 0], wander[:, 1])
    power = np.abs(np.fft.rfft(wander[:, 0], axis=-1)) ** 2
    assert power[:, :20].sum() > 0.99 * power.sum()  # below 2 Hz
    assert 0.05 < wander.std() < 1.0


def test_mains_hums_at_its_frequency() -> None:
    x = np.zeros((3, 1, 1000), dtype=np.float32)
    hum = amplitude.mains(x, 500.0, np.random.default_rng(1), mains_hz=50.0, amplitude=0.1)
    assert (np.abs(np.fft.rfft(hum[:, 0], axis=-1)).argmax(axis=-1) == 100).all()
    assert np.abs(hum).max() <= 0.1


def test_lead_drop_leaves_a_lead() -> None:
    dropped = amplitude.lead_drop(windows(200), FS, np.random.default_rng(1), share=1.0)
    assert (np.any(dropped != 0, axis=-1).sum(axis=1) == 1).all()


def test_roll_moves_all_leads_alike() -> None:
    x = windows()
    rolled = time.roll(x, FS, np.random.default_rng(1), most_s=0.5)
    for before, after in zip(x, rolled, strict=True):
        matches = [k for k in range(-50, 51) if np.array_equal(np.roll(before, k, -1), after)]
        assert len(matches) == 1


def test_stretch_changes_the_speed_around_the_middle() -> None:
    ramp = np.tile(np.arange(501, dtype=np.float32), (5, 2, 1))
    stretched = time.stretch(ramp, FS, np.random.default_rng(1), most=0.1)
    np.testing.assert_allclose(stretched[:, :, 250], 250, atol=1e-3)
    speed = np.diff(stretched[:, 0, 200:300], axis=-1)
    np.testing.assert_allclose(speed, np.broadcast_to(speed[:, :1], speed.shape), atol=1e-3)
    assert (np.abs(speed - 1) <= 0.1 + 1e-3).all()
    still = time.stretch(ramp, FS, np.random.default_rng(1), most=0.0)
    np.testing.assert_allclose(still, ramp, atol=1e-4)


def test_cut_out_silences_no_more_than_it_says() -> None:
    x = windows(50) + 10
    cut = time.cut_out(x, FS, np.random.default_rng(1), n_cuts=2, most_s=0.5)
    silent = (cut == 0).all(axis=1)
    assert (silent.sum(axis=-1) <= 102).all()
    assert silent.any()
    np.testing.assert_array_equal(
        cut[~np.broadcast_to(silent[:, None], x.shape)],
        x[~np.broadcast_to(silent[:, None], x.shape)],
    )
