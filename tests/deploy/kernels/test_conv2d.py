"""Two-dimensional convolutions against exact integer sums and ONNX Runtime."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
import pytest
from device_harness import Trial, available, run_device
from hypothesis import HealthCheck, given, settings
from kernel_harness import run_host
from shapes2d import Conv2dCase, conv2d_cases, pool2d_cases
from test_device import check, draw

from ecgexp.deploy.kernels import QParams
from ecgexp.deploy.kernels.conv_shape import Axis

_QUICK = settings(
    max_examples=25, deadline=None, database=None, suppress_health_check=list(HealthCheck)
)
# 500 with `make property`, which loads the profile of that name.
_LONG = settings(_QUICK, max_examples=settings().max_examples)
_on_device = pytest.mark.skipif(
    not available(), reason="needs arm-none-eabi-gcc and qemu-system-arm"
)


def _check(case: Conv2dCase) -> None:
    expected = case.expected()
    out = run_host(case.kernel_for("generic"), case.arrays()[0], size=expected.size, dtype="int8")
    np.testing.assert_array_equal(out.reshape(expected.shape), expected)


@_QUICK
@given(conv2d_cases(depthwise=False))
def test_dense_convolution_is_exact(case: Conv2dCase) -> None:
    _check(case)


@_QUICK
@given(conv2d_cases(depthwise=True))
def test_depthwise_convolution_is_exact(case: Conv2dCase) -> None:
    _check(case)


@pytest.mark.slow
@pytest.mark.parametrize("depthwise", [False, True])
def test_convolution_is_exact_over_many_shapes(depthwise: bool) -> None:
    _LONG(given(conv2d_cases(depthwise=depthwise))(_check))()


@pytest.mark.parametrize(("c_in", "c_out", "groups"), [(1, 8, 1), (16, 16, 16), (24, 32, 1)])
def test_onnxruntime_agrees_but_for_rare_ties(c_in: int, c_out: int, groups: int) -> None:
    side = Axis(length=20, kernel=3, stride=1, dilation=1, pads=(1, 1))
    q = QParams(0.0237, -128)
    case = Conv2dCase(
        rows=replace(side, length=17, stride=2),
        columns=side,
        c_in=c_in,
        c_out=c_out,
        groups=groups,
        x=q,
        y=replace(q, scale=0.0411),
        extreme=0,
        seed=0,
    )
    difference = np.abs(case.onnxruntime().astype(int) - case.expected().astype(int))
    assert difference.max() <= 1
    assert (difference != 0).mean() < 1e-3


@pytest.mark.parametrize("kind", ["max", "avg"])
def test_pooling_equals_onnxruntime(kind: Literal["max", "avg"]) -> None:
    for case in draw(pool2d_cases(kind), 20):
        expected = case.expected
        kernel, dtype = case.kernel("generic"), str(expected.dtype)
        out = run_host(kernel, *case.inputs, size=expected.size, dtype=dtype)
        np.testing.assert_allclose(
            out.reshape(expected.shape), expected, 1e-6, 1e-6, err_msg=case.label
        )


@_on_device
@pytest.mark.device
def test_pooling_equals_onnxruntime_on_the_emulator() -> None:
    cases = draw(pool2d_cases("max"), 8) + draw(pool2d_cases("avg"), 8)
    trials = [Trial(c.kernel("mve"), c.inputs, c.expected, c.expected.itemsize) for c in cases]
    for case, trial, outcome in zip(cases, trials, run_device(trials), strict=True):
        assert not outcome.overrun, case.label
        tolerance = 0.0 if trial.expected.dtype == np.int8 else 1e-6
        np.testing.assert_allclose(
            outcome.out, trial.expected, tolerance, tolerance, err_msg=case.label
        )


@_on_device
@pytest.mark.device
@pytest.mark.parametrize("depthwise", [False, True])
def test_random_convolutions_are_exact_on_the_emulator(depthwise: bool) -> None:
    cases = draw(conv2d_cases(depthwise=depthwise, max_channels=40), 30)
    trials = [
        Trial(c.kernel_for("mve"), (c.arrays()[0],), c.expected(), int(c.c_in == 1)) for c in cases
    ]
    check(trials, [str(c) for c in cases])


@_on_device
@pytest.mark.device
@pytest.mark.parametrize("depthwise", [False, True])
def test_random_float_convolutions_are_close_on_the_emulator(depthwise: bool) -> None:
    cases = draw(conv2d_cases(depthwise=depthwise), 8)
    built = [case.floats("mve") for case in cases]
    trials = [Trial(kernel, (x,), expected, 4) for kernel, x, expected in built]
    for case, trial, outcome in zip(cases, trials, run_device(trials), strict=True):
        np.testing.assert_allclose(outcome.out, trial.expected, atol=2e-4, err_msg=str(case))
        assert not outcome.overrun, case


@_on_device
@pytest.mark.device
def test_kernels_wider_than_the_input_keep_rows_and_padding_apart() -> None:
    """A tap beside a row lies where a tap of the next row lies, but only one of them is padding."""
    rows = Axis(length=11, kernel=2, stride=1, dilation=1, pads=(1, 0))
    columns = Axis(length=1, kernel=4, stride=1, dilation=1, pads=(2, 2))
    q = QParams(scale=0.5, zero_point=11)
    cases = [
        Conv2dCase(
            rows=rows,
            columns=columns,
            c_in=c_in,
            c_out=6,
            groups=groups,
            x=q,
            y=q,
            extreme=0,
            seed=1,
        )
        for c_in, groups in ((16, 1), (6, 3))
    ]
    trials = [Trial(c.kernel_for("mve"), (c.arrays()[0],), c.expected(), 0) for c in cases]
    check(trials, [str(c) for c in cases])
