"""Helium kernels on the emulated Cortex-M55, bit by bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from device_harness import M55, Core, Trial, available, run_device
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from onnx import helper
from operators import binary_cases, dense_cases, mean_cases, pool_cases, table_cases
from ort_reference import run_quantized
from shapes import ConvCase, conv_cases

from ecgexp.deploy.kernels import (
    QParams,
    binary,
    concat,
    conv1d,
    global_pool,
    pad,
    pool,
    proof,
    quantize,
    softmax,
    transpose,
    unary,
)
from ecgexp.deploy.kernels.conv_shape import ConvShape
from ecgexp.deploy.kernels.weights import Weights

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


def check(trials: list[Trial], labels: list[str], core: Core = M55) -> None:
    outcomes = run_device(trials, core=core)
    for label, trial, outcome in zip(labels, trials, outcomes, strict=True):
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


@pytest.mark.parametrize(("broadcast", "size"), [("time", 20), ("scalar", 1)])
def test_gates_in_whole_numbers_equal_onnxruntime(broadcast: Any, size: int) -> None:
    rng = np.random.default_rng(4)
    node = helper.make_node("Mul", ["a_f", "b_f"], ["r"])
    trials = []
    for zero_point, scale in ((-128, 0.0191), (-17, 0.0107), (90, 0.0229)):
        a, b, y = QParams(0.0235, zero_point), QParams(0.0039, -128), QParams(scale, zero_point)
        assert proof.product_fraction(a, b, y) is not None
        x = rng.integers(-128, 128, (64, 20)).astype(np.int8)
        gate = rng.integers(-128, 128, (1, size)).astype(np.int8)
        kernel = binary.build(
            isa="mve",
            op="mul",
            length=64,
            channels=20,
            broadcast=broadcast,
            a=a,
            b=b,
            y=y,
            clamp=None,
        )
        expected = run_quantized(node, {"a": (x, a), "b": (gate, b)}, y)
        trials.append(Trial(kernel, (x, gate), expected, 1))
    check(trials, [trial.kernel.name for trial in trials])


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
        shape=ConvShape(
            length=case.length,
            c_in=case.c_in,
            c_out=case.c_out,
            kernel=case.kernel,
            stride=case.stride,
            dilation=case.dilation,
            pads=case.pads,
            groups=case.groups,
        ),
        weights=Weights(
            weight=weight,
            clamp=(-1.0, np.inf),
        ),
    )
    return Trial(kernel, (x,), np.maximum(expected, -1).astype(np.float32), 4)


@pytest.mark.parametrize("depthwise", [False, True])
def test_random_float_convolutions_are_close(depthwise: bool) -> None:
    cases = draw(conv_cases(depthwise=depthwise), 20)
    trials = [_float_trial(case) for case in cases]
    for case, trial, outcome in zip(cases, trials, run_device(trials), strict=True):
        np.testing.assert_allclose(outcome.out, trial.expected, atol=2e-5, err_msg=str(case))
        assert not outcome.overrun, case


def test_layout_and_borders_are_exact() -> None:
    rng = np.random.default_rng(5)
    a, b = (rng.integers(-128, 128, (21, n)).astype(np.int8) for n in (19, 3))
    real = rng.normal(0, 2, 70).astype(np.float32)
    q = QParams(0.03, -7)
    steps = np.rint(real / np.float32(q.scale)).astype(int) + q.zero_point
    joined = concat.build(isa="mve", length=21, channels=(19, 3), dtype="int8")
    padded = pad.build(
        isa="mve",
        length=21,
        channels=19,
        time_pads=(1, 2),
        channel_pads=(0, 1),
        value=-5,
        dtype="int8",
    )
    turned = transpose.build(isa="mve", rows=21, cols=19, dtype="int8")
    trials = [
        Trial(joined, (a, b), np.hstack([a, b]), 1),
        Trial(padded, (a,), np.pad(a, ((1, 2), (0, 1)), constant_values=-5), 1),
        Trial(turned, (a,), np.ascontiguousarray(a.T), 1),
        Trial(
            quantize.build(isa="mve", n=70, y=q),
            (real,),
            np.clip(steps, -128, 127).astype(np.int8),
            4,
        ),
    ]
    check(trials, ["concat", "pad", "transpose", "quantize"])


def test_float_operators_are_close() -> None:
    x = np.random.default_rng(6).normal(0, 2, (30, 7)).astype(np.float32)
    pairs = x.reshape(15, 2, 7).max(1)
    biggest = pool.build(
        isa="mve",
        kind="max",
        length=30,
        channels=7,
        kernel=2,
        stride=2,
        pads=(0, 0),
        x=None,
        y=None,
        count_include_pad=False,
    )
    mean = global_pool.build(isa="mve", kind="avg", length=30, channels=7, x=None, y=None)
    logits = x[0, :5]
    exponents = np.exp(logits - logits.max())
    sigmoid = unary.build(isa="mve", n=210, op="sigmoid")
    trials = [
        Trial(biggest, (x,), pairs, 4),
        Trial(mean, (x,), x.mean(0), 4),
        Trial(softmax.build(isa="mve", n=5), (logits,), exponents / exponents.sum(), 4),
        Trial(sigmoid, (x,), 1 / (1 + np.exp(-x)), 4),
    ]
    for trial, outcome in zip(trials, run_device(trials), strict=True):
        name = trial.kernel.name
        np.testing.assert_allclose(outcome.out, trial.expected, rtol=1e-5, atol=1e-6, err_msg=name)
        assert not outcome.overrun, name
