"""Every schedule of a convolution gives the same bytes on the emulated Cortex-M55."""

from __future__ import annotations

import numpy as np
import pytest
from device_harness import Trial, available, run_device
from hypothesis import HealthCheck, Phase, given, settings
from shapes import ConvCase, conv_cases

pytestmark = [
    pytest.mark.device,
    pytest.mark.skipif(not available(), reason="needs arm-none-eabi-gcc and qemu-system-arm"),
]


def _cases(count: int, max_channels: int) -> list[ConvCase]:
    cases: list[ConvCase] = []

    @settings(
        max_examples=count,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(conv_cases(depthwise=False, max_channels=max_channels))
    def collect(case: ConvCase) -> None:
        cases.append(case)

    collect()
    return cases


@pytest.mark.parametrize(("count", "max_channels"), [(12, 8), (5, 40)])
def test_every_schedule_is_exact(count: int, max_channels: int) -> None:
    trials = []
    for case in _cases(count, max_channels):
        variants = case.kernel_for("mve").variants
        if variants is None:
            continue
        inputs, expected = (case.arrays()[0],), case.expected()
        for build in variants.build.values():
            trials.append(Trial(build(), inputs, expected, int(case.c_in == 1)))
    assert len(trials) > 10
    for trial, outcome in zip(trials, run_device(trials), strict=True):
        np.testing.assert_array_equal(outcome.out, trial.expected, trial.kernel.name)
        assert not outcome.overrun, trial.kernel.name
