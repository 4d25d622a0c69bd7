"""Beats in context: against loops written out, without a look ahead, and nothing across records."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ecgexp.dataset.context import BeatContext
from ecgexp.dataset.context_task import BeatContextTask
from ecgexp.errors import ConfigError
from ecgexp.preprocessing.chain import Chain
from ecgexp.preprocessing.filters import remove_median_baseline
from ecgexp.preprocessing.resample import resample
from tests.dataset.conftest import CLASSES, FS, SECONDS

FS_HZ, BEFORE_S, N_SAMPLES = 120.0, 0.3, 84
FEATURES = {"rr": [0.0, 0.25], "rr_score_long": [0.0, 2.0], "qrs_correlation": [1.0, 0.3]}


def context(**changes: Any) -> BeatContext:
    values: dict[str, Any] = {
        "near_beats": 4,
        "recent_beats": 12,
        "long_beats": 30,
        "median_beats": 20,
        "refresh_beats": 8,
        "wave_gain": 2.5,
        "limit": 4.0,
        "features": FEATURES,
    }
    return BeatContext(**(values | changes))


@pytest.fixture(scope="module")
def record() -> tuple[np.ndarray, np.ndarray]:
    """Return 90 beats (beat, sample) in mV and their times in seconds, some early."""
    rng = np.random.default_rng(3)
    rr = rng.normal(0.8, 0.05, 90)
    rr[rng.random(90) < 0.15] *= 0.6
    shape = np.exp(-np.square((np.arange(N_SAMPLES) - 36) / 4))
    return rng.normal(1, 0.2, (90, 1)) * shape + rng.normal(0, 0.05, (90, N_SAMPLES)), rr.cumsum()


def measure(beats: np.ndarray, at_s: np.ndarray) -> dict[str, np.ndarray]:
    return context().measure(beats, at_s, fs_hz=FS_HZ, before_s=BEFORE_S)


def test_rhythm_agrees_with_loops(record: tuple[np.ndarray, np.ndarray]) -> None:
    found = measure(*record)
    at_s = record[1]
    rr = [at_s[1] - at_s[0], *np.diff(at_s)]
    changes = np.abs(np.diff(np.log(rr), prepend=np.log(rr[0])))
    for i in range(1, len(at_s)):
        logs = np.log(rr[max(0, i - 30) : i])
        now = np.log(rr[i])
        middle = np.median(logs)
        deviation = np.median(np.abs(logs - middle)) + 0.02
        expected = {
            "rr": np.log(rr[i] / 0.8),
            "rr_change": now - np.log(rr[i - 1]),
            "rr_score_long": (now - middle) / deviation,
            "rr_to_p90_long": now - np.percentile(logs, 90),
            "near_to_long_median": np.median(logs[-4:]) - middle,
            "irregularity_near": np.mean(changes[max(0, i - 4) : i]),
            "irregularity_long": np.mean(changes[max(0, i - 30) : i]),
            "spread_long": np.std(logs),
        }
        for name, value in expected.items():
            assert found[name][i] == pytest.approx(value, abs=1e-9), (name, i)


def test_shape_compares_with_the_median_of_the_beats_before(
    record: tuple[np.ndarray, np.ndarray],
) -> None:
    beats, at_s = record
    found = measure(beats, at_s)

    def against(i: int, usual: np.ndarray) -> float:
        """Return the best correlation of the QRS of one beat within 5 samples of shift."""
        shifted = [beats[i, 27 + shift : 48 + shift] for shift in range(-5, 6)]
        return float(max(np.corrcoef(qrs, usual[27:48])[0, 1] for qrs in shifted))

    p_before: list[float] = []
    for i in range(1, 41):  # the median is made anew for each of the first 40
        usual = np.median(beats[max(0, i - 20) : i], axis=0)
        assert found["qrs_correlation"][i] == pytest.approx(against(i, usual), abs=1e-4)
        size, slope = np.ptp(beats[i, 24:51]), np.abs(np.diff(beats[i, 21:54])).max()
        expected = np.log((size + 0.01) / (np.ptp(usual[24:51]) + 0.01))
        assert found["qrs_size_to_median"][i] == pytest.approx(expected)
        expected = np.log((slope + 0.01) / (np.abs(np.diff(usual[21:54])).max() + 0.01))
        assert found["qrs_slope_to_median"][i] == pytest.approx(expected)
        p = np.corrcoef(beats[i, 6:28], usual[6:28])[0, 1]
        if i > 12:
            expected = p - np.median(p_before[-12:])
            assert found["p_correlation_to_usual"][i] == pytest.approx(expected, abs=5e-3)
        p_before.append(p)
    late = np.median(beats[68:88], axis=0)  # at beat 88, kept until 96
    assert found["qrs_correlation"][89] == pytest.approx(against(89, late), abs=1e-4)


def test_a_wide_qrs_is_wide() -> None:
    at_s = np.arange(N_SAMPLES) / FS_HZ - BEFORE_S
    beats = np.exp(-np.square(at_s / np.repeat([0.02, 0.04], 30)[:, None]))
    width = measure(beats, 0.8 * np.arange(60.0))["qrs_width"]
    # The size of the slope of a bell of width w has a standard deviation of w.
    np.testing.assert_allclose(np.exp(width[[0, 59]]) * 0.05, [0.02, 0.04], rtol=0.05)


def test_no_value_looks_ahead(record: tuple[np.ndarray, np.ndarray]) -> None:
    beats, at_s = record
    whole = context().windows(beats, at_s, fs_hz=FS_HZ, before_s=BEFORE_S)
    every, some = measure(beats, at_s), measure(beats[:50], at_s[:50])
    for name, values in some.items():
        np.testing.assert_allclose(values, every[name][:50], atol=1e-12, err_msg=name)
    part = context().windows(beats[:50], at_s[:50], fs_hz=FS_HZ, before_s=BEFORE_S)
    np.testing.assert_array_equal(part, whole[:50])


def test_a_window_holds_beat_and_features(
    record: tuple[np.ndarray, np.ndarray],
) -> None:
    beats, at_s = record
    made = context().windows(beats, at_s, fs_hz=FS_HZ, before_s=BEFORE_S)
    assert made.shape == (90, 2, N_SAMPLES)
    assert np.abs(made).max() <= 4.0
    usual = np.median(beats[13:33], axis=0)
    scale = 2.5 / (np.quantile(usual, 0.98) - np.quantile(usual, 0.02) + 0.1)
    np.testing.assert_allclose(made[33, 0], np.clip(beats[33] * scale, -4, 4), atol=1e-5)
    measured = measure(beats, at_s)
    for place, (name, (centre, spread)) in enumerate(FEATURES.items()):
        expected = np.clip((measured[name] - centre) / spread, -4, 4)
        np.testing.assert_allclose(made[:, 1, place], expected, atol=1e-5)
    assert not made[:, 1, len(FEATURES) :].any()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"features": {"rr_mean": [0, 1]}}, r"unknown feature 'rr_mean'; there are rr, rr_change"),
        ({"features": {"rr": [0.0, 0.0]}}, r"feature rr: \[0\.0, 0\.0\] is not \[centre, spread\]"),
        ({"recent_beats": 0}, "recent_beats, long_beats, median_beats and refresh_beats must be"),
        ({"limit": 0.0}, "wave_gain=2.5 and limit=0 must be positive"),
    ],
)
def test_refuses_what_cannot_be_told(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        context(**changes)


@pytest.fixture
def task() -> Callable[..., BeatContextTask]:
    def make(**changes: Any) -> BeatContextTask:
        values: dict[str, Any] = {
            "before_s": 0.3,
            "after_s": 0.4,
            "classes": CLASSES,
            "ignored": ["+", "~"],
            "labels": ["N", "S", "V"],
            "train_records": [100, 101, 102, 103],
            "test_records": [110],
            "n_val_patients": 1,
            "val_records": [102],
            "context": context(),
            "simulations": {},
        }
        return BeatContextTask(**(values | changes))

    return make


@pytest.fixture
def flat_chain() -> Chain:
    return Chain(
        record=[
            partial(resample, to_hz=120.0),
            partial(remove_median_baseline, first_s=0.2, second_s=0.6),
        ],
        window=[],
    )


def test_windows_say_what_they_hold(
    database: Any, mitdb: Callable[..., Any], task: Callable[..., Any], flat_chain: Chain
) -> None:
    data = mitdb(task(), chain=flat_chain)
    assert data.spec.leads == ("MLII", "context")
    assert data.spec.features == tuple(FEATURES)
    assert (data.spec.n_samples, data.spec.fs_hz) == (N_SAMPLES, 120.0)
    assert set(data.split("val").patient) == {"102"}
    folded = mitdb(task(), chain=flat_chain, fold=0)
    assert set(folded.split("test").patient) == {"110"}
    assert len(set(folded.split("val").patient)) == 1


def test_a_beat_of_a_class_left_out_is_still_past(
    database: Any, mitdb: Callable[..., Any], task: Callable[..., Any], flat_chain: Chain
) -> None:
    every = mitdb(task(), chain=flat_chain).split("test")
    fewer = mitdb(task(labels=["N", "V"]), chain=flat_chain).split("test")
    assert 0 < len(fewer) < len(every)
    kept = np.isin(every.start, fewer.start)
    np.testing.assert_array_equal(fewer.x, every.x[kept])


def test_a_test_record_changes_nothing_that_is_trained_on(
    database: Any, mitdb: Callable[..., Any], task: Callable[..., Any], flat_chain: Chain
) -> None:
    before = mitdb(task(), chain=flat_chain)
    kept = {split: np.array(before.split(split).x) for split in ("train", "val", "test")}
    database.write("110", seed=999)
    beats = np.arange(200, FS * SECONDS, 270)
    database.annotate("110", beats, ["N"] * len(beats))
    after = mitdb(task(), chain=flat_chain)
    np.testing.assert_array_equal(after.split("train").x, kept["train"])
    np.testing.assert_array_equal(after.split("val").x, kept["val"])
    assert after.split("test").x.shape != kept["test"].shape


def test_refuses_windows_and_records_that_do_not_fit(
    task: Callable[..., Any], tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=r"after_s of at least 0\.4, got 0\.3 and 0\.2"):
        task(after_s=0.2)
    with pytest.raises(ConfigError, match="val_records 110 are not among train_records"):
        task(val_records=[110])
    every = context().measure(np.zeros((2, 60)), np.arange(2.0), fs_hz=60.0, before_s=0.5)
    many = context(features={name: [0.0, 1.0] for name in every})
    with pytest.raises(ConfigError, match="13 features do not fit into windows of 12 samples"):
        many.windows(np.zeros((3, 12)), np.arange(3.0), fs_hz=20.0, before_s=0.3)
