"""Convolutions against exact integer sums and against ONNX Runtime."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from kernel_harness import run_host
from shapes import ConvCase, conv_cases

from ecgexp.deploy.kernels import QParams, dense
from ecgexp.deploy.kernels.weights import Weights
from ecgexp.errors import BuildError

_QUICK = settings(
    max_examples=40, deadline=None, database=None, suppress_health_check=list(HealthCheck)
)
# 500 with `make property`, which loads the profile of that name.
_LONG = settings(_QUICK, max_examples=settings().max_examples)


def _check(case: ConvCase) -> None:
    x, *_ = case.arrays()
    size = case.length_out * case.c_out
    out = run_host(case.kernel_for("generic"), x, size=size, dtype="int8")
    expected = case.expected()
    np.testing.assert_array_equal(out.reshape(expected.shape), expected)


@_QUICK
@given(conv_cases(depthwise=False))
def test_dense_convolution_is_exact(case: ConvCase) -> None:
    _check(case)


@_QUICK
@given(conv_cases(depthwise=True))
def test_depthwise_convolution_is_exact(case: ConvCase) -> None:
    _check(case)


@pytest.mark.slow
@_LONG
@given(conv_cases(depthwise=False))
def test_dense_convolution_is_exact_over_many_shapes(case: ConvCase) -> None:
    _check(case)


@pytest.mark.slow
@_LONG
@given(conv_cases(depthwise=True))
def test_depthwise_convolution_is_exact_over_many_shapes(case: ConvCase) -> None:
    _check(case)


def _case(seed: int, c_in: int, c_out: int, groups: int, kernel: int) -> ConvCase:
    return ConvCase(
        length=500,
        c_in=c_in,
        c_out=c_out,
        kernel=kernel,
        stride=1,
        dilation=1,
        pads=(kernel // 2, kernel // 2),
        groups=groups,
        x=QParams(0.0237, -128),
        y=QParams(0.0411, -128),
        clamp=None,
        bias=True,
        extreme=0,
        seed=seed,
    )


@pytest.mark.parametrize(
    ("c_in", "c_out", "groups", "kernel"),
    [(1, 24, 1, 9), (24, 24, 24, 9), (48, 64, 1, 1), (64, 64, 1, 9)],
)
def test_onnxruntime_differs_from_integer_sums_at_most_rarely(
    c_in: int, c_out: int, groups: int, kernel: int
) -> None:
    """ONNX Runtime sums floats; only a value within rounding of a tie may differ, by one step."""
    case = _case(0, c_in, c_out, groups, kernel)
    difference = np.abs(case.onnxruntime().astype(int) - case.expected().astype(int))
    assert difference.max() <= 1
    assert (difference != 0).mean() < 1e-4


def test_overflowing_sum_is_refused() -> None:
    case = _case(0, 4, 4, 1, 3)
    weights = Weights(
        weight=np.ones((1, 2), np.int8),
        bias=np.array([2**31 - 100], np.int32),
        x=case.x,
        w_scale=np.ones(1, np.float32),
        y=case.y,
    )
    with pytest.raises(BuildError, match="int32 sums can overflow"):
        dense.build(isa="generic", weights=weights)
