"""The simulator keeps what the class names promise, and is not solved by the rate alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy.signal import detrend

from ecgexp.dataset.simulator import RATE_BPM, draw_beats, simulate
from ecgexp.errors import ConfigError

FS = 250.0
QUIET = {"length_s": 60.0, "fs_hz": FS, "ectopic_share": 0.0, "noise_gain": 0.0}


def beats(rhythm: str, seed: int, ectopic_share: float = 0.0) -> Any:
    rng = np.random.default_rng(seed)
    return draw_beats(rng, rhythm=rhythm, length_s=80.0, ectopic_share=ectopic_share)


@pytest.mark.parametrize("rhythm", RATE_BPM)
def test_mean_rate_is_the_class(rhythm: str) -> None:
    low, high = RATE_BPM[rhythm]
    slack = 0.12 if rhythm == "atrial_fibrillation" else 0.02
    for seed in range(40):
        rate = 60.0 / beats(rhythm, seed).rr_s.mean()
        assert low * (1 - slack) < rate < high * (1 + slack)


def test_fibrillation_is_irregular_and_overlaps_every_rate() -> None:
    def variation(rhythm: str) -> list[float]:
        return [float(np.std(found.rr_s) / np.mean(found.rr_s))
                for found in (beats(rhythm, seed) for seed in range(40))]  # fmt: skip

    assert np.median(variation("atrial_fibrillation")) > 3 * np.median(variation("sinus"))
    rates = [60.0 / beats("atrial_fibrillation", seed).rr_s.mean() for seed in range(60)]
    assert min(rates) < 60
    assert max(rates) > 100


def test_ectopic_beats_come_early_and_pause_after() -> None:
    for seed in range(30):
        found = beats("sinus", seed, ectopic_share=0.3)
        ventricular = np.flatnonzero(found.kind[1:-1] == 2) + 1
        if len(ventricular):
            normal = np.median(found.rr_s[found.kind == 0])
            assert np.all(found.rr_s[ventricular] < normal)
            assert np.median(found.rr_s[ventricular + 1]) > normal
            return
    pytest.fail("no ventricular beat in 30 patients")


def test_fibrillation_never_has_premature_atrial_beats() -> None:
    assert not any(
        (beats("atrial_fibrillation", seed, ectopic_share=0.3).kind == 1).any()
        for seed in range(30)
    )


def test_p_wave_in_sinus_and_fibrillatory_waves_instead() -> None:
    """Averaged over beats, the P wave stands out in sinus rhythm only."""

    def bump(rhythm: str, seed: int) -> float:
        parameters = {"rhythm": rhythm, "length_s": 60.0, "ectopic_share": 0.0}
        found = draw_beats(np.random.default_rng(seed), **parameters)
        signal = simulate(
            np.random.default_rng(seed), **parameters, fs_hz=FS, noise_gain=0.0
        ).astype(np.float64)
        # Long intervals only: there the T wave before is over.
        chosen = found.time_s[(found.rr_s > 0.85) & (found.time_s > 1) & (found.time_s < 60)]
        if len(chosen) < 20:
            return np.nan
        places = np.round(chosen * FS).astype(int)[:, None] + np.arange(-75, -15)
        return float(np.ptp(detrend(signal[places].mean(axis=0))) / np.ptp(signal))

    sinus = np.nanmedian([bump("bradycardia", seed) for seed in range(30)])
    fibrillation = np.nanmedian([bump("atrial_fibrillation", seed) for seed in range(30)])
    assert sinus > 2 * fibrillation


def test_disturbances_are_there_and_scale() -> None:
    def trace(noise_gain: float) -> np.ndarray:
        parameters = QUIET | {"noise_gain": noise_gain}
        return simulate(np.random.default_rng(3), rhythm="sinus", **parameters).astype(np.float64)

    clean, one, two = trace(0.0), trace(1.0), trace(2.0)
    np.testing.assert_allclose(two - clean, 2 * (one - clean), atol=1e-5)
    power = np.abs(np.fft.rfft(one - clean)) ** 2
    frequency = np.fft.rfftfreq(len(one), 1 / FS)
    around = power[(frequency > 45) & (frequency < 65)]
    assert around.max() > 50 * np.median(around)  # mains
    assert power[(frequency > 0) & (frequency < 1)].max() > 50 * np.median(power)  # wander


def test_a_patient_is_the_same_in_any_company(synthetic: Callable[..., Any]) -> None:
    few, many = synthetic()._source, synthetic(n_patients=60)._source
    np.testing.assert_array_equal(few.signal("S0007"), many.signal("S0007"))
    other = synthetic(generator_seed=2)._source
    assert not np.array_equal(few.signal("S0007"), other.signal("S0007"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rhythm_shares": {"sinus": 1, "flutter": 1}}, r"'flutter' is not a rhythm .* sinus, br"),
        ({"rhythm_shares": {"sinus": 1, "tachycardia": 0}}, r"every rhythm needs a positive share"),
        ({"n_patients": 5}, r"n_patients=5, .*needs at least 12 patients"),
        ({"window_s": 0.0}, r"window_s=0, dataset\.fs_hz=250: both must be positive"),
        ({"ectopic_share": 0.7}, r"ectopic_share=0\.7 must lie in 0\.\.0\.5"),
    ],
)
def test_senseless_parameters_are_named(
    synthetic: Callable[..., Any], change: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        synthetic(**change)
