"""Helium convolutions on the emulated Cortex-M55, against exact integer sums."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from device_harness import Trial, available, run_device
from hypothesis import strategies as st
from hypothesis.errors import NonInteractiveExampleWarning
from shapes import ConvCase, conv_cases

pytestmark = [
    pytest.mark.device,
    pytest.mark.skipif(not available(), reason="needs arm-none-eabi-gcc and qemu-system-arm"),
]


def draw(strategy: st.SearchStrategy[ConvCase], count: int) -> list[ConvCase]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NonInteractiveExampleWarning)
        return [strategy.example() for _ in range(count)]


def check(cases: list[ConvCase]) -> None:
    trials = [Trial(c.kernel_for("mve"), (c.arrays()[0],), c.expected()) for c in cases]
    for case, trial, outcome in zip(cases, trials, run_device(trials), strict=True):
        np.testing.assert_array_equal(outcome.out, trial.expected, err_msg=str(case))
        assert not outcome.overrun, case


def test_random_dense_convolutions_are_exact() -> None:
    check(draw(conv_cases(depthwise=False, max_channels=40), 30))


def test_random_depthwise_convolutions_are_exact() -> None:
    check(draw(conv_cases(depthwise=True, max_channels=40), 30))
