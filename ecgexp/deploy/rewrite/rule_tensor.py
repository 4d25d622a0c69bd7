"""Rules for convolutions, pooling, reductions, changes of shape and concatenation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ecgexp.deploy.fold import rearranged
from ecgexp.deploy.graph import Op, element_count
from ecgexp.deploy.kernels import Kernel, QParams, global_pool, pool
from ecgexp.deploy.kernels.conv_shape import ONE_ROW, Axis
from ecgexp.deploy.program import Dtype
from ecgexp.deploy.rewrite.deferred import Deferred
from ecgexp.deploy.rewrite.pointwise import Average, Concat, Softmax
from ecgexp.deploy.rewrite.value import Codes, Move, Padded, Real, Table, moved, time_major
from ecgexp.deploy.rewrite.walk import Array, Value, Walk
from ecgexp.deploy.rewrite.weighted import Conv, Dense


def convolution(walk: Walk, op: Op, x: Value, weight: Array) -> Value:
    """Convolve over time, or over rows and columns."""
    if not isinstance(weight, np.ndarray) or isinstance(x, np.ndarray):
        raise op.fail("its weights must be constants")
    operand = walk.settled(x)
    axis, row_axis = _spatial_axes(op, operand.shape, op.shape, weight.shape[2:])
    flat = rearranged(weight, lambda part: part.reshape(*part.shape[:2], -1))
    kernel, dilation = weight.shape[2:], op.attrs["dilation"]
    columns = _moving(op, axis, operand.shape, kernel, dilation)
    rows = ONE_ROW if row_axis is None else _moving(op, row_axis, operand.shape, kernel, dilation)
    return Conv(
        op=op,
        x=operand,
        weight=flat,
        stride=columns.stride,
        dilation=columns.dilation,
        pads=columns.pads,
        groups=int(op.attrs["groups"]),
        rows=rows,
    )


def _spatial_axes(op: Op, *shapes: tuple[int, ...]) -> tuple[int, int | None]:
    """Return which spatial axis is time, and which one counts rows.

    Time is the only axis longer than 1 where there is but one; else it is the last one.
    """
    spatial = [shape[2:] if len(shape) > 2 else shape for shape in shapes[:2]] + list(shapes[2:])
    rank = len(spatial[0])
    if rank not in (1, 2):
        raise op.fail(f"shapes {shapes}: only one or two spatial axes have kernels")
    long = {i for sizes in spatial for i in range(rank) if i < len(sizes) and sizes[i] > 1}
    if len(long) > 1:
        return 1, 0
    return (long.pop() if long else rank - 1), None


def _moving(
    op: Op, axis: int, shape: tuple[int, ...], kernel: tuple[int, ...], dilation: tuple[int, ...]
) -> Axis:
    """Return how the windows of a convolution or pooling move along a spatial axis."""
    pads = op.attrs["padding"]
    return Axis(
        length=shape[axis + 2] if len(shape) > axis + 2 else element_count(shape[2:]),
        kernel=int(kernel[axis]),
        stride=int(op.attrs["strides"][axis]),
        dilation=int(dilation[axis]),
        pads=(int(pads[axis]), int(pads[axis + len(kernel)])),
    )


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
    window, rows, _ = _windows(op, x)
    source = _comparable(walk, op, x)
    params = _any_params(source)
    kernel = pool.build(
        isa=walk.materialiser.isa,
        kind="max",
        length=window.length,
        channels=source.shape[1],
        kernel=window.kernel,
        stride=window.stride,
        pads=window.pads,
        x=params,
        y=params,
        count_include_pad=False,
        rows=rows,
    )
    return _maximum(walk, op, source, kernel)


def average_pool(walk: Walk, op: Op, x: Value) -> Value:
    """Take the mean of windows."""
    window, rows, grown = _windows(op, x)
    if grown:
        raise op.fail("ceil_mode with a last window over the end has no kernel")
    return Average(
        op=op,
        x=walk.settled(x),
        window=window,
        count_include_pad=bool(op.attrs["count_include_pad"]),
        rows=rows,
    )


def _windows(op: Op, x: Value) -> tuple[Axis, Axis, bool]:
    """Return the windows of a pooling along time and rows, and whether ceil_mode grew them."""
    sizes = tuple(op.attrs["pool_size"])
    shape = x.op.shape if isinstance(x, Deferred) else x.shape
    if any(d != 1 for d in op.attrs["dilation"]):
        raise op.fail("dilated pooling has no kernel")
    axis, row_axis = _spatial_axes(op, shape, op.shape, sizes)

    def windows(place: int) -> tuple[Axis, bool]:
        given = _moving(op, place, shape, sizes, (1,) * len(sizes))
        reach = (op.shape[place + 2] - 1) * given.stride + given.kernel
        before, after = given.pads
        grown = max(0, reach - (given.length + before + after))
        return replace(given, pads=(before, after + grown)), grown > 0

    columns, wider = windows(axis)
    rows, higher = (ONE_ROW, False) if row_axis is None else windows(row_axis)
    return columns, rows, wider or higher


def mean(walk: Walk, op: Op, x: Value) -> Value:
    """Take the mean over time."""
    operand = walk.settled(x)
    _check_reduction(op, operand.shape)
    return Average(op=op, x=operand, window=None, count_include_pad=False)


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
    if axis not in (1, 2) or any(len(t.shape) not in (2, 3, 4) for t in tensors):
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
