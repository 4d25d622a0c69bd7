"""float32 operators on this machine, against ONNX Runtime."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from kernel_harness import run_host
from onnx import NodeProto, helper
from ort_reference import run_nodes

from ecgexp.deploy.kernels import (
    binary,
    conv1d,
    dense,
    global_pool,
    pool,
    quantize,
    softmax,
    unary,
)
from ecgexp.deploy.kernels.conv_shape import ConvShape
from ecgexp.deploy.kernels.kernel import QParams
from ecgexp.deploy.kernels.weights import Weights
from ecgexp.errors import BuildError

_RNG = np.random.default_rng(7)


def _normal(*shape: int) -> np.ndarray:
    return _RNG.normal(0, 2, shape).astype(np.float32)


def _reference(node: NodeProto, constants: dict[str, Any], **inputs: np.ndarray) -> np.ndarray:
    return run_nodes([node], constants, inputs, "y", "float32")


@pytest.mark.parametrize(
    ("op", "node", "alpha", "beta"),
    [
        ("relu", helper.make_node("Relu", ["x"], ["y"]), 0.0, 0.0),
        ("sigmoid", helper.make_node("Sigmoid", ["x"], ["y"]), 0.0, 0.0),
        (
            "hard_sigmoid",
            helper.make_node("HardSigmoid", ["x"], ["y"], alpha=0.2, beta=0.4),
            0.2,
            0.4,
        ),
        ("hard_swish", helper.make_node("HardSwish", ["x"], ["y"]), 0.0, 0.0),
        ("tanh", helper.make_node("Tanh", ["x"], ["y"]), 0.0, 0.0),
        ("leaky_relu", helper.make_node("LeakyRelu", ["x"], ["y"], alpha=0.1), 0.1, 0.0),
        ("elu", helper.make_node("Elu", ["x"], ["y"], alpha=0.7), 0.7, 0.0),
        ("exp", helper.make_node("Exp", ["x"], ["y"]), 0.0, 0.0),
    ],
)
def test_unary(op: Any, node: NodeProto, alpha: float, beta: float) -> None:
    x = _normal(37)
    kernel = unary.build(isa="generic", n=37, op=op, alpha=alpha, beta=beta)
    out = run_host(kernel, x, size=37, dtype="float32")
    np.testing.assert_allclose(out, _reference(node, {}, x=x), rtol=1e-6, atol=1e-6)


def test_silu_and_gelu() -> None:
    x = _normal(20)
    silu = run_host(unary.build(isa="generic", n=20, op="silu"), x, size=20, dtype="float32")
    np.testing.assert_allclose(silu, x / (1 + np.exp(-x)), rtol=1e-5)
    gelu = run_host(unary.build(isa="generic", n=20, op="gelu"), x, size=20, dtype="float32")
    half = helper.make_node("Erf", ["x"], ["y"])
    erf = _reference(half, {}, x=x / np.float32(np.sqrt(2)))
    np.testing.assert_allclose(gelu, x * (1 + erf) / 2, rtol=1e-5, atol=1e-6)


def test_clip_limits_both_ends() -> None:
    kernel = unary.build(isa="generic", n=3, op="clip", alpha=-1.0, beta=2.0)
    out = run_host(kernel, np.array([-5, 0.5, 9], np.float32), size=3, dtype="float32")
    np.testing.assert_array_equal(out, np.array([-1, 0.5, 2], np.float32))


def test_unknown_function_is_refused() -> None:
    op: Any = "frobnicate"
    with pytest.raises(BuildError, match="unary operator 'frobnicate' is not one of relu"):
        unary.build(isa="generic", n=3, op=op)


def test_softmax_of_large_logits() -> None:
    x = np.array([900, 901, -900, 0], np.float32)
    out = run_host(softmax.build(isa="generic", n=4), x, size=4, dtype="float32")
    np.testing.assert_allclose(out, [1 / (1 + np.e), np.e / (1 + np.e), 0, 0], rtol=1e-5)


def test_convolution() -> None:
    x, weight, bias = _normal(19, 6), _normal(4, 3, 5), _normal(4)
    node = helper.make_node(
        "Conv", ["x", "w", "b"], ["y"], strides=[2], dilations=[2], pads=[3, 4], group=2
    )
    expected = _reference(node, {"w": weight, "b": bias}, x=x.T[None].copy())[0].T
    kernel = conv1d.build(
        isa="generic",
        shape=ConvShape(
            length=19,
            c_in=6,
            c_out=4,
            kernel=5,
            stride=2,
            dilation=2,
            pads=(3, 4),
            groups=2,
        ),
        weights=Weights(
            weight=weight,
            bias=bias,
            clamp=(0.0, np.inf),
        ),
    )
    out = run_host(kernel, x, size=expected.size, dtype="float32").reshape(expected.shape)
    np.testing.assert_allclose(out, np.maximum(expected, 0), rtol=1e-5, atol=1e-5)


def test_dense() -> None:
    x, weight = _normal(33), _normal(7, 33)
    kernel = dense.build(
        isa="generic",
        weights=Weights(weight=weight),
    )
    out = run_host(kernel, x, size=7, dtype="float32")
    np.testing.assert_allclose(out, weight @ x, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("include", [False, True])
@pytest.mark.parametrize("kind", ["max", "avg"])
def test_pool(kind: Any, include: bool) -> None:
    x = _normal(17, 3)
    extra = {"count_include_pad": int(include)} if kind == "avg" else {}
    name = {"max": "MaxPool", "avg": "AveragePool"}[kind]
    node = helper.make_node(name, ["x"], ["y"], kernel_shape=[4], strides=[3], pads=[2, 1], **extra)
    expected = _reference(node, {}, x=x.T[None].copy())[0].T
    kernel = pool.build(
        isa="generic",
        kind=kind,
        length=17,
        channels=3,
        kernel=4,
        stride=3,
        pads=(2, 1),
        x=None,
        y=None,
        count_include_pad=include,
    )
    out = run_host(kernel, x, size=expected.size, dtype="float32").reshape(expected.shape)
    np.testing.assert_allclose(out, expected, rtol=1e-6)


@pytest.mark.parametrize("kind", ["max", "avg"])
def test_global_pool(kind: Any) -> None:
    x = _normal(50, 5)
    kernel = global_pool.build(isa="generic", kind=kind, length=50, channels=5, x=None, y=None)
    out = run_host(kernel, x, size=5, dtype="float32")
    expected = x.max(0) if kind == "max" else x.mean(0)
    np.testing.assert_allclose(out, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("op", ["add", "mul"])
@pytest.mark.parametrize(
    ("broadcast", "shape"), [("none", (9, 5)), ("time", (1, 5)), ("scalar", (1, 1))]
)
def test_binary(op: Any, broadcast: Any, shape: tuple[int, int]) -> None:
    first, second = _normal(9, 5), _normal(*shape)
    kernel = binary.build(
        isa="generic",
        op=op,
        length=9,
        channels=5,
        broadcast=broadcast,
        a=None,
        b=None,
        y=None,
        clamp=None,
    )
    out = run_host(kernel, first, second, size=45, dtype="float32").reshape(9, 5)
    np.testing.assert_array_equal(out, first + second if op == "add" else first * second)


def test_borders_between_float_and_int8() -> None:
    q = QParams(0.037, -11)
    x = np.concatenate([_normal(50), np.array([99, -99, 0.5 * 0.037, 1.5 * 0.037], np.float32)])
    node = helper.make_node("QuantizeLinear", ["x", "s", "z"], ["y"])
    constants = {"s": np.float32(q.scale), "z": np.int8(q.zero_point)}
    expected = run_nodes([node], constants, {"x": x}, "y", "int8")
    out = run_host(quantize.build(isa="generic", n=x.size, y=q), x, size=x.size, dtype="int8")
    np.testing.assert_array_equal(out, expected)
    kernel = quantize.build_dequantize(isa="generic", n=x.size, x=q)
    back = run_host(kernel, expected, size=x.size, dtype="float32")
    np.testing.assert_array_equal(
        back, (expected.astype(np.int32) - q.zero_point).astype(np.float32) * np.float32(q.scale)
    )
