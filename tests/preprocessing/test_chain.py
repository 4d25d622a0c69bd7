"""The chain: order, finite values, description."""

from __future__ import annotations

import json
from functools import partial

import numpy as np
import pytest

from ecgexp.errors import ConfigError, DataError
from ecgexp.preprocessing.chain import Chain
from ecgexp.preprocessing.filters import bandpass
from ecgexp.preprocessing.normalize import z_normalize
from ecgexp.preprocessing.resample import resample

BAND = partial(bandpass, low_hz=0.5, high_hz=40.0, order=3, zero_phase=True)


def add_one(x: np.ndarray, fs_hz: float) -> tuple[np.ndarray, float]:
    return x + 1, fs_hz


def double(x: np.ndarray, fs_hz: float) -> tuple[np.ndarray, float]:
    return x * 2, fs_hz


def break_it(x: np.ndarray, fs_hz: float) -> tuple[np.ndarray, float]:
    return x / 0.0, fs_hz


def test_steps_run_in_order() -> None:
    x = np.ones((1, 4))
    assert Chain(record=[add_one, double], window=[]).apply_record(x, 1.0)[0][0, 0] == 4
    assert Chain(record=[double, add_one], window=[]).apply_record(x, 1.0)[0][0, 0] == 3


def test_rate_flows_through() -> None:
    chain = Chain(record=[BAND, partial(resample, to_hz=100.0)], window=[])
    y, fs = chain.apply_record(np.random.default_rng(0).normal(size=(1, 3600)), 360.0)
    assert (y.shape, fs) == ((1, 1000), 100.0)


def test_windows_are_float32_and_alone() -> None:
    chain = Chain(record=[], window=[partial(z_normalize, epsilon=0.01)])
    x = np.random.default_rng(0).normal(size=(6, 1, 100))
    together, _ = chain.apply_window(x, 100.0)
    assert together.dtype == np.float32
    np.testing.assert_array_equal(together[3:4], chain.apply_window(x[3:4], 100.0)[0])


def test_description_tells_order_and_parameters() -> None:
    one = Chain(record=[BAND, partial(resample, to_hz=100.0)], window=[]).describe()
    other = Chain(record=[partial(resample, to_hz=100.0), BAND], window=[]).describe()
    assert json.dumps(one) != json.dumps(other)
    assert one["record"][1] == {"step": "ecgexp.preprocessing.resample.resample", "to_hz": 100.0}
    swapped = partial(bandpass, zero_phase=True, order=3, high_hz=40.0, low_hz=0.5)
    assert Chain(record=[swapped], window=[]).describe()["record"][0] == one["record"][0]


@pytest.mark.filterwarnings("ignore:divide by zero")
def test_a_step_that_makes_infinities_is_named() -> None:
    with pytest.raises(DataError, match=r"break_it made values that are not finite"):
        Chain(record=[break_it], window=[]).apply_record(np.ones((1, 4)), 1.0)


def test_a_step_that_is_no_function_is_named() -> None:
    with pytest.raises(ConfigError, match=r"preprocessing.record\[1\]: 3 is not a function"):
        Chain(record=[add_one, 3], window=[])  # type: ignore[list-item]
