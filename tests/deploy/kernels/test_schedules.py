"""Every schedule of a convolution gives the same bytes on the emulated Cortex-M55."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from device_harness import Trial, available, run_device
from shapes import conv_cases
from shapes2d import conv2d_cases
from test_device import draw

pytestmark = [
    pytest.mark.device,
    pytest.mark.skipif(not available(), reason="needs arm-none-eabi-gcc and qemu-system-arm"),
]


def _check(cases: list[Any], least: int) -> None:
    trials = []
    for case in cases:
        variants = case.kernel_for("mve").variants
        if variants is None:
            continue
        inputs, expected = (case.arrays()[0],), case.expected()
        for build in variants.build.values():
            trials.append(Trial(build(), inputs, expected, int(case.c_in == 1)))
    assert len(trials) > least
    for trial, outcome in zip(trials, run_device(trials), strict=True):
        np.testing.assert_array_equal(outcome.out, trial.expected, trial.kernel.name)
        assert not outcome.overrun, trial.kernel.name


@pytest.mark.parametrize(("count", "max_channels"), [(12, 8), (5, 40)])
def test_every_schedule_is_exact(count: int, max_channels: int) -> None:
    _check(draw(conv_cases(depthwise=False, max_channels=max_channels), count), 10)


def test_every_depthwise_schedule_is_exact() -> None:
    _check(draw(conv_cases(depthwise=True, max_channels=40), 10), 20)


def test_every_two_dimensional_schedule_is_exact() -> None:
    dense = draw(conv2d_cases(depthwise=False, max_channels=40), 3)
    _check(dense + draw(conv2d_cases(depthwise=True), 3), 10)
