"""Helium kernels on the emulated Cortex-M55, bit by bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from device_harness import Trial, available, run_device
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from operators import binary_cases, dense_cases, mean_cases, pool_cases, table_cases
from shapes import ConvCase, conv_cases

from ecgexp.deploy.kernels import conv1d

pytestmark = [
    pytest.mark.device,
    pytest.mark.skipif(not available(), reason="needs arm-none-eabi-gcc and qemu-system-arm"),
]


def draw(strategy: st.SearchStrategy[Any], count: int) -> list[Any]:
    """Draw the same cases in every run."""
    cases: list[Any] = []

    @settings(
        max_examples=count,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def collect(case: Any) -> None:
        cases.append(case)

    collect()
    return cases


def check(trials: list[Trial], labels: list[str]) -> None:
    for label, trial, outcome in zip(labels, trials, run_device(trials), strict=True):
        np.testing.assert_array_equal(outcome.out, trial.expected, label)
        assert not outcome.overrun, label


@pytest.mark.parametrize("depthwise", [False, True])
def test_random_convolutions_are_exact(depthwise: bool) -> None:
    cases = draw(conv_cases(depthwise=depthwise, max_channels=40), 30)
    trials = [
        Trial(c.kernel_for("mve"), (c.arrays()[0],), c.expected(), int(c.c_in == 1)) for c in cases
    ]
    check(trials, [str(c) for c in cases])


def test_other_operators_equal_onnxruntime() -> None:
    strategies = [
        *(dense_cases(), pool_cases("max"), pool_cases("avg"), mean_cases()),
        *(binary_cases("add"), binary_cases("mul"), table_cases()),
    ]
    cases = [case for strategy in strategies for case in draw(strategy, 9)]
    trials = [Trial(c.kernel("mve"), c.inputs, c.expected, 1) for c in cases]
    check(trials, [c.label for c in cases])


def _float_trial(case: ConvCase) -> Trial:
    rng = np.random.default_rng(case.seed)
    x = rng.normal(size=(case.length, case.c_in)).astype(np.float32)
    weight = rng.normal(size=(case.c_out, case.c_in // case.groups, case.kernel)).astype("f4")
    padded = np.pad(x.astype(np.float64), (case.pads, (0, 0)))
    expected = np.zeros((case.length_out, case.c_out))
    group_in, group_out = case.c_in // case.groups, case.c_out // case.groups
    for tap in range(case.kernel):
        start = tap * case.dilation
        rows = padded[start : start + (case.length_out - 1) * case.stride + 1 : case.stride]
        for group in range(case.groups):
            inputs = rows[:, group * group_in : (group + 1) * group_in]
            outputs = slice(group * group_out, (group + 1) * group_out)
            expected[:, outputs] += inputs @ weight[outputs, :, tap].T
    kernel = conv1d.build(
        isa="mve",
        length=case.length,
        c_in=case.c_in,
        c_out=case.c_out,
        kernel=case.kernel,
        stride=case.stride,
        dilation=case.dilation,
        pads=case.pads,
        groups=case.groups,
        weight=weight,
        bias=None,
        x=None,
        w_scale=None,
        y=None,
        clamp=(-1.0, np.inf),
    )
    return Trial(kernel, (x,), np.maximum(expected, -1).astype(np.float32), 4)


@pytest.mark.parametrize("depthwise", [False, True])
def test_random_float_convolutions_are_close(depthwise: bool) -> None:
    cases = draw(conv_cases(depthwise=depthwise), 20)
    trials = [_float_trial(case) for case in cases]
    for case, trial, outcome in zip(cases, trials, run_device(trials), strict=True):
        np.testing.assert_allclose(outcome.out, trial.expected, atol=2e-5, err_msg=str(case))
        assert not outcome.overrun, case
