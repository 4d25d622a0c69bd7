"""Random dense, pooling, binary and table operators with ONNX Runtime's answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from hypothesis import strategies as st
from onnx import helper
from ort_reference import run_quantized
from shapes import int8s, qparams

from ecgexp.deploy.kernels import Isa, Kernel, QParams, binary, dense, global_pool, pool, table
from ecgexp.deploy.kernels.weights import Weights

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Case:
    """One operator call: how to build it, what to feed it, what must come out."""

    label: str
    kernel: Callable[[Isa], Kernel]
    inputs: tuple[Array, ...]
    expected: Array


def matching(draw: st.DrawFn, x: QParams, low: float, high: float) -> QParams:
    """Draw an output step that is a fraction of an input step, so that results are not all ends."""
    ratio = draw(st.floats(low, high, exclude_min=True))
    return QParams(float(np.float32(x.scale * ratio)), draw(st.integers(-128, 127)))


@st.composite
def dense_cases(draw: st.DrawFn) -> Case:
    n_in, n_out = draw(st.integers(1, 150)), draw(st.integers(1, 20))
    rng = np.random.default_rng(draw(st.integers(0, 2**31)))
    x, y = draw(qparams()), draw(qparams())
    data = int8s(rng, (n_in,), draw(st.sampled_from([0, 0, 1, 2])))
    weight = rng.integers(-127, 128, (n_out, n_in)).astype(np.int8)
    bias = rng.integers(-9000, 9000, n_out).astype(np.int32)
    w_scale = (rng.uniform(0.2, 2, n_out) / np.sqrt(n_in) / 50 * y.scale / x.scale).astype("f4")
    sums = (data.astype(np.int64) - x.zero_point) @ weight.astype(np.int64).T + bias
    factor = (np.float64(x.scale) * w_scale.astype(np.float64) / y.scale).astype(np.float32)
    steps = np.rint(sums.astype(np.float32) * factor).astype(np.int64) + y.zero_point

    def kernel(isa: Isa) -> Kernel:
        return dense.build(
            isa=isa,
            weights=Weights(weight=weight, bias=bias, x=x, w_scale=w_scale, y=y),
        )

    return Case(f"dense {n_in} {n_out}", kernel, (data,), np.clip(steps, -128, 127).astype("i1"))


@st.composite
def pool_cases(draw: st.DrawFn, kind: Literal["max", "avg"]) -> Case:
    kernel_size, channels = draw(st.integers(1, 9)), draw(st.integers(1, 20))
    pads = tuple(draw(st.integers(0, kernel_size - 1)) for _ in range(2))
    length, stride = draw(st.integers(kernel_size, 30)), draw(st.integers(1, 4))
    include = draw(st.booleans())
    x = draw(qparams())
    y = x if kind == "max" or draw(st.booleans()) else matching(draw, x, 0.3, 1.0)
    rng = np.random.default_rng(draw(st.integers(0, 2**31)))
    data = int8s(rng, (length, channels), draw(st.sampled_from([0, 0, 1, 2])))
    attributes = {"count_include_pad": int(include)} if kind == "avg" else {}
    node = helper.make_node(
        {"max": "MaxPool", "avg": "AveragePool"}[kind],
        ["x_f"],
        ["r"],
        kernel_shape=[kernel_size],
        strides=[stride],
        pads=list(pads),
        **attributes,
    )
    expected = run_quantized(node, {"x": (data.T[None].copy(), x)}, y)[0].T

    def kernel(isa: Isa) -> Kernel:
        return pool.build(
            isa=isa,
            kind=kind,
            length=length,
            channels=channels,
            kernel=kernel_size,
            stride=stride,
            pads=(pads[0], pads[1]),
            x=x,
            y=y,
            count_include_pad=include,
        )

    label = f"{kind} {length}x{channels} k{kernel_size} s{stride} p{pads} include {include} {x} {y}"
    return Case(label, kernel, (data,), np.ascontiguousarray(expected))


@st.composite
def mean_cases(draw: st.DrawFn) -> Case:
    """Means whose output step is no round multiple of the input step.

    Where it is one, sums fall on ties that ONNX Runtime decides by the order of its float32 sum.
    """
    length, channels = draw(st.integers(1, 300)), draw(st.integers(1, 40))
    x = draw(qparams())
    rng = np.random.default_rng(draw(st.integers(0, 2**31)))
    y = QParams(float(np.float32(x.scale * rng.uniform(0.05, 0.9))), draw(st.integers(-128, 127)))
    data = int8s(rng, (length, channels), draw(st.sampled_from([0, 0, 2])))
    node = helper.make_node("GlobalAveragePool", ["x_f"], ["r"])
    expected = run_quantized(node, {"x": (data.T[None].copy(), x)}, y).reshape(-1)

    def kernel(isa: Isa) -> Kernel:
        return global_pool.build(isa=isa, kind="avg", length=length, channels=channels, x=x, y=y)

    return Case(f"mean {length}x{channels} {x} {y}", kernel, (data,), expected)


@st.composite
def binary_cases(draw: st.DrawFn, op: Literal["add", "mul"]) -> Case:
    length, channels = draw(st.integers(1, 20)), draw(st.integers(1, 30))
    broadcast: Any = draw(st.sampled_from(["none", "time", "scalar"]))
    a, b = draw(qparams()), draw(qparams())
    rng = np.random.default_rng(draw(st.integers(0, 2**31)))
    span = a.scale * b.scale * 128 if op == "mul" else max(a.scale, b.scale)
    y_scale = float(np.clip(span * draw(st.sampled_from([0.25, 1.0, 1.7])), 1e-30, 1e30))
    y = QParams(y_scale, draw(st.integers(-128, 127)))
    extreme = draw(st.sampled_from([0, 0, 1, 2]))
    first = int8s(rng, (length, channels), extreme)
    shape = {"none": (length, channels), "time": (1, channels), "scalar": (1, 1)}[broadcast]
    second = int8s(rng, shape, extreme)
    node = helper.make_node({"add": "Add", "mul": "Mul"}[op], ["a_f", "b_f"], ["r"])
    expected = run_quantized(node, {"a": (first, a), "b": (second, b)}, y)

    def kernel(isa: Isa) -> Kernel:
        return binary.build(
            isa=isa,
            op=op,
            length=length,
            channels=channels,
            broadcast=broadcast,
            a=a,
            b=b,
            y=y,
            clamp=None,
        )

    return Case(
        f"{op} {length}x{channels} {broadcast} {a} {b} {y}", kernel, (first, second), expected
    )


@st.composite
def table_cases(draw: st.DrawFn) -> Case:
    rng = np.random.default_rng(draw(st.integers(0, 2**31)))
    n = draw(st.integers(1, 100))
    values = rng.integers(-128, 128, 256).astype(np.int8)
    data = int8s(rng, (n,), 0)
    expected = values[data.astype(int) + 128]
    return Case(
        f"table {n}", lambda isa: table.build(isa=isa, n=n, table=values), (data,), expected
    )
