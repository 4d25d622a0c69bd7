"""Rules for convolutions, pooling, reductions, changes of shape and concatenation."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ecgexp.deploy.fold import rearranged
from ecgexp.deploy.graph import Op, element_count
from ecgexp.deploy.kernels import Kernel, QParams, global_pool, pool
from ecgexp.deploy.program import Dtype
from ecgexp.deploy.rewrite.deferred import Deferred
from ecgexp.deploy.rewrite.pointwise import Average, Concat, Softmax
from ecgexp.deploy.rewrite.value import Codes, Move, Padded, Real, Table, moved, time_major
from ecgexp.deploy.rewrite.walk import Array, Value, Walk
from ecgexp.deploy.rewrite.weighted import Conv, Dense


def convolution(walk: Walk, op: Op, x: Value, weight: Array) -> Value:
    """Convolve over time; a two-dimensional convolution must be flat in one direction."""
    if not isinstance(weight, np.ndarray) or isinstance(x, np.ndarray):
        raise op.fail("its weights must be constants")
    operand = walk.settled(x)
    axis = _time_axis(op, operand.shape, op.shape, weight.shape[2:])
    rank = len(weight.shape) - 2
    pads = op.attrs["padding"]
    flat = rearranged(weight, lambda part: part.reshape(*part.shape[:2], -1))
    return Conv(
        op=op,
        x=operand,
        weight=flat,
        stride=int(op.attrs["strides"][axis]),
        dilation=int(op.attrs["dilation"][axis]),
        pads=(int(pads[axis]), int(pads[axis + rank])),
        groups=int(op.attrs["groups"]),
    )


def _time_axis(op: Op, *shapes: tuple[int, ...]) -> int:
    """Return which spatial axis is time: the only one longer than 1."""
    spatial = [shape[2:] if len(shape) > 2 else shape for shape in shapes[:2]] + list(shapes[2:])
    rank = len(spatial[0])
    long = {i for sizes in spatial for i in range(rank) if i < len(sizes) and sizes[i] > 1}
    if len(long) > 1 or rank > 2 or rank < 1:
        raise op.fail(f"shapes {shapes}: only one spatial axis may be longer than 1")
    return long.pop() if long else rank - 1


def matmul(walk: Walk, op: Op, x: Value, weight: Array) -> Value:
    """Multiply a vector by a constant matrix."""
    if not isinstance(weight, np.ndarray) or isinstance(x, np.ndarray) or weight.ndim != 2:
        raise op.fail("its right operand must be a constant matrix")
    operand = walk.settled(x)
    if element_count(operand.shape) != weight.shape[0]:
        raise op.fail(f"shape {operand.shape}: only one vector can be multiplied by the matrix")
    return Dense(op=op, x=operand, weight=rearranged(weight, np.transpose))


def max_pool(walk: Walk, op: Op, x: Value) -> Value:
    """Take the maximum of windows; of codes where a larger code is a larger number."""
    window = _window(op, x)
    source = _comparable(walk, op, x)
    channels = source.shape[1]
    length = element_count(source.shape) // channels
    params = _any_params(source)
    kernel = pool.build(
        isa=walk.materialiser.isa,
        kind="max",
        length=length,
        channels=channels,
        kernel=window.size,
        stride=window.stride,
        pads=window.pads,
        x=params,
        y=params,
        count_include_pad=False,
    )
    return _maximum(walk, op, source, kernel)


def average_pool(walk: Walk, op: Op, x: Value) -> Value:
    """Take the mean of windows."""
    window = _window(op, x)
    if window.grown:
        raise op.fail("ceil_mode with a last window over the end has no kernel")
    return Average(
        op=op,
        x=walk.settled(x),
        window=(window.size, window.stride),
        pads=window.pads,
        count_include_pad=bool(op.attrs["count_include_pad"]),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Window:
    """A pooling window along time; `grown` says whether ceil_mode lengthened the padding."""

    size: int
    stride: int
    pads: tuple[int, int]
    grown: bool


def _window(op: Op, x: Value) -> _Window:
    sizes = op.attrs["pool_size"]
    shape = x.op.shape if isinstance(x, Deferred) else x.shape
    axis = _time_axis(op, shape, op.shape, sizes)
    if any(d != 1 for d in op.attrs["dilation"]):
        raise op.fail("dilated pooling has no kernel")
    size, stride = int(sizes[axis]), int(op.attrs["strides"][axis])
    pads = op.attrs["padding"]
    before, after = int(pads[axis]), int(pads[axis + len(sizes)])
    length, length_out = element_count(shape[2:]), element_count(op.shape[2:])
    reach = (length_out - 1) * stride + size
    grown = max(0, reach - (length + before + after))
    return _Window(size=size, stride=stride, pads=(before, after + grown), grown=grown > 0)


def mean(walk: Walk, op: Op, x: Value) -> Value:
    """Take the mean over time."""
    operand = walk.settled(x)
    _check_reduction(op, operand.shape)
    return Average(op=op, x=operand, window=None, pads=(0, 0), count_include_pad=False)


def maximum_over_time(walk: Walk, op: Op, x: Value) -> Value:
    """Take the maximum over time."""
    source = _comparable(walk, op, x)
    _check_reduction(op, source.shape)
    channels = source.shape[1]
    params = _any_params(source)
    kernel = global_pool.build(
        isa=walk.materialiser.isa,
        kind="max",
        length=element_count(source.shape) // channels,
        channels=channels,
        x=params,
        y=params,
    )
    return _maximum(walk, op, source, kernel)


def _check_reduction(op: Op, shape: tuple[int, ...]) -> None:
    axes = op.attrs["axis"]
    reduced = range(len(shape)) if axes is None else {int(a) % len(shape) for a in axes}
    kept = [i for i in range(len(shape)) if i not in reduced and shape[i] > 1]
    if len(shape) < 3 or 1 in reduced or any(i > 1 for i in kept):
        raise op.fail(f"axes {axes} of shape {shape}: only time, all of it, can be reduced")


def _comparable(walk: Walk, op: Op, x: Value) -> Real | Table:
    """Return a value in memory whose stored elements compare as its numbers do."""
    value = walk.unpadded(op, walk.settled(x))
    if isinstance(value, Real):
        return walk.materialiser.real(op, value)
    return value if value.is_monotone else walk.materialiser.table(op, value)


def _any_params(source: Real | Table) -> QParams | None:
    return QParams(1.0, 0) if isinstance(source, Table) else None


def _maximum(walk: Walk, op: Op, source: Real | Table, kernel: Kernel) -> Value:
    dtype: Dtype = "int8" if isinstance(source, Table) else "float32"
    out = walk.materialiser.output(element_count(op.shape), dtype)
    inputs = (walk.materialiser.arrange(op, source),)
    walk.materialiser.program.call(kernel, inputs, out, op.origin or op.name)
    return replace(source, buffer=out, order=time_major(op.shape))


def change_shape(walk: Walk, op: Op, x: Value) -> Value:
    """Give a tensor another shape; nothing moves."""
    return _moved(walk, op, x, lambda order: order.reshape(op.shape))


def permute(walk: Walk, op: Op, x: Value) -> Value:
    """Exchange axes; nothing moves."""
    axes = op.attrs["axes"]
    return _moved(walk, op, x, lambda order: order.transpose(axes))


def _moved(walk: Walk, op: Op, x: Value, move: Move) -> Value:
    if isinstance(x, Deferred):
        return x.moved(move) if walk.is_last_use(op, 0) else _moved(walk, op, walk.settled(x), move)
    if isinstance(x, Padded):
        holds_codes = isinstance(x.inner, Codes)
        x = walk.materialiser.codes(op, x) if holds_codes else walk.unpadded(op, x)
    return moved(x, move)  # type: ignore[no-any-return]


def concatenate(walk: Walk, op: Op, *parts: Value | Array) -> Value:
    """Put tensors side by side; constants before and after a signal are a padding."""
    axis = int(op.attrs["axis"]) % len(op.shape)
    constants = [part for part in parts if isinstance(part, np.ndarray)]
    tensors = [walk.settled(part) for part in parts if not isinstance(part, np.ndarray)]
    if constants:
        return _padding(walk, op, parts, axis)
    if axis not in (1, 2) or any(len(t.shape) not in (2, 3) for t in tensors):
        raise op.fail(f"shapes {[t.shape for t in tensors]}, axis {axis}: no kernel")
    return Concat(op=op, parts=tuple(tensors), axis=axis)


def _padding(walk: Walk, op: Op, parts: tuple[Value | Array, ...], axis: int) -> Value:
    kinds = [isinstance(part, np.ndarray) for part in parts]
    place = kinds.index(False) if False in kinds else 0
    numbers = np.concatenate([np.ravel(p) for p in parts if isinstance(p, np.ndarray)])
    if kinds.count(False) != 1 or np.any(numbers != numbers[0]):
        raise op.fail("constants can only pad one tensor, all with one number")
    lengths = [part.shape[axis] if isinstance(part, np.ndarray) else 0 for part in parts]
    before, after = sum(lengths[:place]), sum(lengths[place:])
    (signal,) = (part for part in parts if not isinstance(part, np.ndarray))
    inner = walk.unpadded(op, walk.settled(signal))
    if len(op.shape) != 3 or axis == 0:
        raise op.fail(
            f"padding axis {axis} of shape {op.shape} has no kernel; time and channels have one"
        )
    if axis == 1:
        return walk.materialiser.pad_channels(op, inner, (before, after), float(numbers[0]))
    return Padded(inner=inner, pads=(before, after), fill=float(numbers[0]))


def softmax(walk: Walk, op: Op, x: Value) -> Value:
    """Compute class probabilities."""
    if int(op.attrs["axis"]) % len(op.shape) != len(op.shape) - 1 or op.shape[-1] != element_count(
        op.shape
    ):
        raise op.fail(f"softmax over axis {op.attrs['axis']} of {op.shape} has no kernel")
    return Softmax(op=op, x=walk.settled(x))
