"""Rules for scalar functions and for sums, products and limits of two operands."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import numpy as np

from ecgexp.deploy import scalar
from ecgexp.deploy.fold import flattened
from ecgexp.deploy.graph import Op, element_count
from ecgexp.deploy.rewrite import formula
from ecgexp.deploy.rewrite.deferred import Deferred
from ecgexp.deploy.rewrite.pointwise import Binary
from ecgexp.deploy.rewrite.value import Padded, Real, Stage, Table, View
from ecgexp.deploy.rewrite.walk import Array, Value, Walk
from ecgexp.deploy.rewrite.weighted import Conv, Weighted

_STAGES = {
    "sigmoid": "sigmoid",
    "tanh": "tanh",
    "erf": "erf",
    "nn.gelu": "gelu",
    "nn.leakyrelu": "leaky_relu",
}


def unary(walk: Walk, op: Op, x: Value) -> Value:
    """Apply a scalar function."""
    attrs = dict(op.attrs)
    clip = _clip_range(op.kind, attrs)
    if isinstance(x, Deferred):
        if clip is not None and walk.is_last_use(op, 0):
            return x.clipped(*clip)
        x = x.to_real(walk.materialiser)
    if isinstance(x, Padded):
        inner = unary(walk, op, x.inner)
        assert isinstance(inner, Real | Table)
        fill = scalar.unary(op.kind, attrs, np.array([x.fill], np.float32))
        return Padded(inner=inner, pads=x.pads, fill=float(fill[0]))
    if isinstance(x, Table):
        return replace(x, values=scalar.unary(op.kind, attrs, x.values), codes=None, qparams=None)
    if not isinstance(x, Real):
        raise op.fail("it reads quantized codes as numbers")
    if clip is not None:
        stage = Stage(kind="clip", alpha=clip[0], beta=clip[1])
    elif op.kind in _STAGES:
        stage = Stage(kind=_STAGES[op.kind], alpha=float(attrs.get("alpha", 0.0)))
    else:
        raise op.fail("it has no float32 kernel")
    return replace(x, formula=formula.append(x.formula, stage))


def _clip_range(kind: str, attrs: dict[str, Any]) -> tuple[float, float] | None:
    if kind == "nn.relu":
        return 0.0, np.inf
    return (attrs["min"], attrs["max"]) if kind == "clip" else None


def binary(walk: Walk, op: Op, a: Value | Array, b: Value | Array) -> Value:
    """Combine two tensors, or a tensor and a constant."""
    if isinstance(a, np.ndarray):
        if op.kind not in ("add", "multiply", "maximum", "minimum"):
            return _reversed_constant(walk, op, a, b)
        return _with_constant(walk, op, b, a, 1)
    if isinstance(b, np.ndarray):
        return _with_constant(walk, op, a, b, 0)
    same = _same_source(op, _computed(walk, a), _computed(walk, b))
    if same is not None:
        return same
    kinds: dict[str, Literal["add", "mul"]] = {"add": "add", "multiply": "mul"}
    if op.kind not in kinds:
        raise op.fail("it has no kernel for two tensors")
    left, right = walk.settled(a), walk.settled(b)
    if element_count(left.shape) < element_count(right.shape):
        left, right = right, left
    if len(left.shape) != len(right.shape) or left.shape != op.shape:
        raise op.fail(f"shapes {left.shape} and {right.shape} cannot be broadcast by a kernel")
    return Binary(op=op, kind=kinds[op.kind], a=left, b=right)


def _computed(walk: Walk, value: Value) -> Value:
    """Return the numbers of a deferred operator that has been computed for someone else."""
    if isinstance(value, Deferred) and value.is_real:
        return value.to_real(walk.materialiser)
    return value


def _same_source(op: Op, a: Value, b: Value) -> Value | None:
    """Combine two functions of one tensor into another function of it."""
    if not (isinstance(a, View) and isinstance(b, View) and a.buffer == b.buffer):
        return None
    if not np.array_equal(a.order, b.order):
        return None
    if isinstance(a, Table) and isinstance(b, Table):
        values = scalar.binary(op.kind, a.values, b.values)
        return replace(a, values=values, codes=None, qparams=None)
    if isinstance(a, Real) and isinstance(b, Real) and op.kind == "multiply":
        short, long = sorted((a, b), key=lambda value: len(value.formula))
        if not short.formula:
            return replace(long, formula=(*long.formula, Stage(kind="times_base")))
    return None


def _with_constant(walk: Walk, op: Op, x: Value | Array, constant: Array, position: int) -> Value:
    """Combine a tensor with a constant: one number, or one number per channel."""
    assert not isinstance(x, np.ndarray)
    shape = x.op.shape if isinstance(x, Deferred) else x.shape
    fused = isinstance(x, Weighted) and x.takes_bias and walk.is_last_use(op, position)
    if _is_per_channel(shape, constant) and (fused or constant.size > 1):
        return _per_channel(walk, op, x, constant, fused)
    numbers = np.asarray(constant, np.float32).reshape(-1)
    if not np.all(numbers == numbers[0]):
        raise op.fail(f"its constant of shape {constant.shape} is not one number per channel")
    return _scalar(walk, op, x, float(numbers[0]), position)


def _is_per_channel(shape: tuple[int, ...], constant: Array) -> bool:
    laid = (1,) * (len(shape) - constant.ndim) + constant.shape
    return len(shape) > 1 and len(laid) == len(shape) and laid[1] == constant.size == shape[1]


def _scalar(walk: Walk, op: Op, x: Value, number: float, position: int) -> Value:
    if op.kind in ("maximum", "minimum"):
        low, high = (number, np.inf) if op.kind == "maximum" else (-np.inf, number)
        inputs = (op.inputs[position],)
        return unary(
            walk, replace(op, kind="clip", attrs={"min": low, "max": high}, inputs=inputs), x
        )
    value = walk.unpadded(op, walk.settled(x))
    if isinstance(value, Table):
        values = scalar.binary(op.kind, value.values, np.float32(number))
        return replace(value, values=values, codes=None, qparams=None)
    stages = {
        "add": ("offset", number),
        "subtract": ("offset", -number),
        "multiply": ("scale", number),
        "divide": ("scale", float(np.float32(1) / np.float32(number)) if number else np.inf),
    }
    kind, alpha = stages[op.kind]
    return replace(value, formula=formula.append(value.formula, Stage(kind=kind, alpha=alpha)))


def _reversed_constant(walk: Walk, op: Op, constant: Array, x: Value | Array) -> Value:
    if isinstance(x, Table) and np.size(constant) == 1:
        number = np.asarray(constant, np.float32).reshape(())
        values = scalar.binary(op.kind, number, x.values)
        return replace(x, values=values, codes=None, qparams=None)
    raise op.fail("it has no kernel for a constant on its left")


def _per_channel(walk: Walk, op: Op, x: Value, constant: Array, fused: bool) -> Value:
    """Fold one number per channel into the operator before, or into a convolution of its own."""
    flat = flattened(constant)
    kind = op.kind
    if kind == "subtract":
        kind, flat = "add", -np.asarray(flat)
    elif kind == "divide":
        kind, flat = "multiply", 1 / np.asarray(flat)
    if kind not in ("add", "multiply"):
        raise op.fail("it has no kernel for one constant per channel")
    if not (fused and isinstance(x, Weighted)):
        if len(op.shape) not in (3, 4):
            raise op.fail(f"one constant per channel needs a signal, not the shape {op.shape}")
        channels = op.shape[1]
        x = Conv(
            op=op,
            x=walk.settled(x),
            weight=np.ones((channels, 1, 1), np.float32),
            stride=1,
            dilation=1,
            pads=(0, 0),
            groups=channels,
        )
    return x.with_bias(flat) if kind == "add" else x.scaled(flat)
