"""Rhythms made out of training records: what they change, and that they stay in training."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest

from ecgexp.dataset.simulated_beats import EarlyRuns, Fibrillation
from ecgexp.errors import ConfigError
from ecgexp.preprocessing.chain import Chain
from ecgexp.preprocessing.filters import remove_median_baseline
from ecgexp.preprocessing.resample import resample
from tests.dataset.test_context import task  # noqa: F401 - a fixture

N = 1000
COMMON: dict[str, Any] = {"of": "N", "records": [100, 101], "seed": 0}


def early(**changes: Any) -> EarlyRuns:
    values: dict[str, Any] = {
        **COMMON,
        "becomes": "S",
        "windows_per_record": {"N": 5, "S": 7},
        "gap_beats": [10],
        "run_beats": [5],
        "rr_factor": [0.6, 0.8],
        "pause_factor": [1.2, 1.3],
    }
    return EarlyRuns(**(values | changes))


def fibrillation() -> Fibrillation:
    return Fibrillation(
        **COMMON,
        becomes="N",
        stretch_beats=[100, 300],
        windows_per_record={"N": 11},
        rr_spread=[0.2, 0.25],
        rr_factor=[0.7, 0.9],
        p_share=[0.0, 0.0],
    )


@pytest.fixture
def rr_s() -> np.ndarray:
    return np.random.default_rng(0).normal(0.8, 0.005, N)


@pytest.fixture
def usual() -> np.ndarray:
    return np.arange(N) % 37 != 0


def test_early_beats_come_in_runs_with_a_pause_behind(rr_s: np.ndarray, usual: np.ndarray) -> None:
    made = early().rhythm(rr_s, usual, "100")
    assert 0.1 < made.early.mean() < 0.5
    assert not made.early[~usual].any()
    assert np.all(made.rr_s[made.early] < 0.85 * 0.8)
    assert np.all(made.rr_s[made.early] > 0.55 * 0.8)
    behind = np.flatnonzero(made.early[:-1] & ~made.early[1:]) + 1
    assert np.all(made.rr_s[behind] > 1.15 * 0.8)
    untouched = ~made.early
    untouched[behind] = False
    np.testing.assert_array_equal(made.rr_s[untouched], rr_s[untouched])


def test_draws_depend_on_record_and_seed_alone(rr_s: np.ndarray, usual: np.ndarray) -> None:
    first = early().rhythm(rr_s, usual, "100")
    np.testing.assert_array_equal(first.rr_s, early().rhythm(rr_s, usual, "100").rr_s)
    assert not np.array_equal(first.rr_s, early().rhythm(rr_s, usual, "101").rr_s)
    assert not np.array_equal(first.rr_s, early(seed=1).rhythm(rr_s, usual, "100").rr_s)


def test_an_early_beat_lies_on_the_wave_before_and_keeps_its_qrs(
    rr_s: np.ndarray, usual: np.ndarray
) -> None:
    rng = np.random.default_rng(1)
    beats = rng.normal(0, 1, (N, 96))  # 0.3 s before to 0.5 s after at 120 Hz
    simulation = early()
    rhythm = simulation.rhythm(rr_s, usual, "100")
    made = simulation.shapes(beats, rhythm, "100", 120.0, 0.3)
    np.testing.assert_array_equal(made[~rhythm.early], beats[~rhythm.early])
    np.testing.assert_array_equal(made[:, 28:], beats[:, 28:])  # from 0.067 s before the beat
    index = int(np.flatnonzero(rhythm.early)[3])
    shift = round(rhythm.rr_s[index] * 120)
    rest = made[index, :20] - beats[index - 1, shift : shift + 20]
    scale = rest / beats[index, :20]
    np.testing.assert_allclose(scale, scale[0], atol=1e-9)
    assert -0.5 <= scale[0] <= 0.5


def test_fibrillation_has_no_order_and_no_p_wave(rr_s: np.ndarray, usual: np.ndarray) -> None:
    simulation = fibrillation()
    rhythm = simulation.rhythm(rr_s, usual, "100")
    logs = np.log(rhythm.rr_s[usual])
    assert 0.17 < logs.std() < 0.3
    assert abs(np.corrcoef(logs[:-1], logs[1:])[0, 1]) < 0.15
    np.testing.assert_allclose(rhythm.rr_s[~usual], 0.9 * rr_s[~usual])
    assert not rhythm.early.any()
    at_s = np.arange(96) / 120 - 0.3
    beats = np.tile(np.exp(-np.square((at_s + 0.16) / 0.02)), (N, 1))
    made = simulation.shapes(beats, rhythm, "100", 120.0, 0.3)
    assert np.abs(made.mean(axis=0)).max() < 0.1
    assert made[:, :24].std() > 0.01


@pytest.fixture
def made(
    database: Any,
    mitdb: Callable[..., Any],
    task: Callable[..., Any],  # noqa: F811 - a fixture
) -> Callable[..., Any]:
    steps = [
        partial(resample, to_hz=120.0),
        partial(remove_median_baseline, first_s=0.2, second_s=0.6),
    ]

    def make(**changes: Any) -> Any:
        return mitdb(task(**changes), chain=Chain(record=steps, window=[]))

    return make


def test_simulated_records_train_and_nothing_else(made: Callable[..., Any]) -> None:
    simulations = {"early": early(run_beats=[2], records=[100, 102]), "af": fibrillation()}
    plain, data = made(), made(simulations=simulations)
    train = data.split("train")
    # 102 validates, so that nothing is made of it.
    assert set(train.record) == {"100", "101", "103", "100~early", "100~af", "101~af"}
    assert set(train.patient) == {"100", "101", "103"}
    for split in ("val", "test"):
        np.testing.assert_array_equal(data.split(split).x, plain.split(split).x)
    real = np.array(["~" not in record for record in train.record])
    np.testing.assert_array_equal(train.x[real], plain.split("train").x)
    counts = np.bincount(train.y[train.record == "100~early"], minlength=3)
    assert counts[0] == 5
    assert 0 < counts[1] <= 7
    assert np.bincount(train.y[train.record == "100~af"], minlength=3).tolist() == [11, 0, 0]
    of_af = train.x[train.record == "100~af"]
    of_origin = train.x[train.record == "100"]
    spread = list(data.spec.features).index("rr")
    assert of_af[:, 1, spread].std() > 10 * of_origin[:, 1, spread].std()


def test_refuses_to_simulate_what_is_tested_on(made: Callable[..., Any]) -> None:
    with pytest.raises(
        ConfigError, match=r"simulations\.early\.records 110 are among test_records"
    ):
        made(simulations={"early": early(records=[110])})
