"""float32 convolutions for Helium: lanes along output channels, four at a time.

A tile is three positions by one or two vectors of channels. Weights lie as (group, vector pair,
tap, input channel, channel), so that one pointer streams through them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ecgexp.deploy.kernels.conv_shape import Axis, ConvShape
from ecgexp.deploy.kernels.ir import (
    Parameter,
    T,
    clamp_float,
    constant_parameters,
    f32,
    i32,
    local,
    prim_func,
    ramp,
    store,
)
from ecgexp.deploy.kernels.kernel import Clamp, Kernel

Array = np.ndarray[Any, Any]
_LANES = 4
_POSITIONS = 3


def build(shape: ConvShape, weight: Array, bias: Array, clamp: Clamp | None) -> Kernel:
    """Build the kernel.

    Args:
        shape: Geometry.
        weight: (c_out, c_in / groups, tap) float32, the taps row by row.
        bias: (c_out,) float32.
        clamp: Fused activation range.
    """
    loops = _Loops(shape, clamp)
    width = loops.vectors * _LANES
    filling = -shape.group_out % width
    taps = weight.reshape(shape.groups, shape.group_out, shape.group_in, shape.taps)
    taps = np.pad(taps, ((0, 0), (0, filling), (0, 0), (0, 0)))
    tiled = taps.reshape(shape.groups, -1, width, shape.group_in, shape.taps)
    biases = np.pad(bias.reshape(shape.groups, -1), ((0, 0), (0, filling)))
    constants = (
        np.ascontiguousarray(tiled.transpose(0, 1, 4, 3, 2), np.float32).reshape(-1),
        np.ascontiguousarray(biases, np.float32).reshape(-1),
    )
    parameters = [
        Parameter("data", shape.size, "float32"),
        *constant_parameters(constants),
        Parameter("out", shape.positions * shape.c_out, "float32"),
    ]
    name = f"{shape.kind}_float32_{shape.label}"
    return Kernel(name, prim_func(name, parameters, loops.body), constants, shape.macs)


class _Loops:
    """Emits the loops of one float32 convolution."""

    def __init__(self, shape: ConvShape, clamp: Clamp | None) -> None:
        self.shape, self.clamp = shape, clamp
        self.vectors = 2 if shape.group_out > _LANES else 1
        self.blocks = -(-shape.group_out // (self.vectors * _LANES))
        self.first, self.last = shape.interior
        self.row: Any = None
        self.data: Any = None
        self.weights: Any = None
        self.biases: Any = None
        self.out: Any = None

    def body(self, data: Any, weights: Any, biases: Any, out: Any) -> None:
        """Emit the whole kernel."""
        self.data, self.weights, self.biases, self.out = data, weights, biases, out
        width = self.vectors * _LANES
        full, rest = divmod(self.shape.group_out, width)
        with T.serial(self.shape.groups) as group:
            if full:
                with T.serial(full) as block:
                    self._positions(group, block, width)
            if rest:
                self._positions(group, i32(full), rest)

    def _positions(self, group: Any, block: Any, width: int) -> None:
        rows = self.shape.rows.length_out
        if rows == 1:
            self._row(group, block, width, i32(0))
        else:
            with T.serial(rows) as row:
                self._row(group, block, width, row)

    def _row(self, group: Any, block: Any, width: int, row: Any) -> None:
        self.row = row
        inside = self.last - self.first
        step = min(_POSITIONS, inside)
        if inside:
            each_tile(
                self.first,
                self.last,
                step,
                lambda p: self._tile(p, group, block, width, (i32(0), i32(self.shape.kernel))),
            )
        if self.shape.length_out > inside:
            with T.serial(self.shape.length_out - inside) as i:
                p = T.if_then_else(i < self.first, i, i + i32(inside)) if inside else i
                self._tile([p], group, block, width, tap_range(self.shape, p))

    def _tile(
        self,
        positions: list[Any],
        group: Any,
        block: Any,
        width: int,
        taps: tuple[Any, Any],
    ) -> None:
        shape, lanes = self.shape, self.vectors * _LANES
        acc = local(len(positions) * lanes, "float32")
        slots = [(j, v) for j in range(len(positions)) for v in range(self.vectors)]
        place = group * self.blocks + block

        def slot(j: int, v: int) -> Any:
            return ramp(i32(j * lanes + v * _LANES), _LANES)

        for j, v in slots:
            store(acc, slot(j, v), self.biases[ramp(place * lanes + v * _LANES, _LANES)])
        start = positions[0] * i32(shape.stride) - i32(shape.pads[0])
        advance = shape.stride * shape.c_in

        def multiply(at: Any, weight: Any) -> None:
            vectors = [
                T.Bind(self.weights[ramp(weight * lanes + v * _LANES, _LANES)])
                for v in range(self.vectors)
            ]
            for j in range(len(positions)):
                value = T.broadcast(T.Bind(self.data[at + i32(j * advance)]), _LANES)
                for v in range(self.vectors):
                    store(acc, slot(j, v), acc[slot(j, v)] + vectors[v] * value)

        self._reduce(start, group, place, taps, multiply)
        for j, v in slots:
            at = self.row * (shape.length_out * shape.c_out)
            at = (
                at
                + positions[j] * shape.c_out
                + group * shape.group_out
                + block * lanes
                + v * _LANES
            )
            self._store(at, acc, j * lanes + v * _LANES, min(_LANES, width - v * _LANES))

    def _reduce(
        self,
        start: Any,
        group: Any,
        place: Any,
        taps: tuple[Any, Any],
        multiply: Callable[[Any, Any], None],
    ) -> None:
        """Visit every input of a window."""
        shape, rows = self.shape, self.shape.rows
        window = place * (shape.taps * shape.group_in)
        if shape.is_flat:
            self._reduce_row(start * shape.c_in, group, window, taps, multiply)
            return
        first, end = tap_range(rows, self.row) if any(rows.pads) else (i32(0), i32(rows.kernel))
        with T.serial(end - first) as i:
            k = i + first
            line = self.row * rows.stride + k * rows.dilation - i32(rows.pads[0])
            at = T.Bind((line * shape.length + start) * shape.c_in)
            weights = T.Bind(window + k * (shape.kernel * shape.group_in))
            self._reduce_row(at, group, weights, taps, multiply)

    def _reduce_row(
        self,
        at: Any,
        group: Any,
        window: Any,
        taps: tuple[Any, Any],
        multiply: Callable[[Any, Any], None],
    ) -> None:
        """Visit the inputs of one row of a window, which starts at element `at`."""
        shape = self.shape
        first, end = taps
        if shape.groups == 1 and shape.dilation == 1:
            with T.serial((end - first) * shape.c_in) as i:
                multiply(at + first * shape.c_in + i, window + first * shape.c_in + i)
            return
        with T.serial(end - first) as k, T.serial(shape.group_in) as i:
            tap = k + first
            source = at + tap * i32(shape.dilation * shape.c_in) + group * shape.group_in + i
            multiply(source, window + tap * shape.group_in + i)

    def _store(self, at: Any, acc: Any, slot: int, width: int) -> None:
        for lane in range(width if width < _LANES else 0):
            store(self.out, at + lane, clamp_float(acc[slot + lane], self.clamp))
        if width >= _LANES:
            values = clamp_vector(acc[ramp(i32(slot), _LANES)], self.clamp)
            store(self.out, ramp(at, _LANES), values)


def clamp_vector(values: Any, clamp: Clamp | None) -> Any:
    """Limit float32x4 to a range; None or infinite ends leave it alone."""
    if clamp is None:
        return values
    lo, hi = clamp
    if np.isfinite(lo):
        values = T.max(values, T.broadcast(f32(lo), _LANES))
    return T.min(values, T.broadcast(f32(hi), _LANES)) if np.isfinite(hi) else values


def tap_range(shape: Axis, p: Any) -> tuple[Any, Any]:
    """Return the taps [first, end) of position p that lie inside the input."""
    start = p * i32(shape.stride) - i32(shape.pads[0])
    dilation = i32(shape.dilation)
    before = T.max(i32(0) - start, i32(0)) + i32(shape.dilation - 1)
    after = T.max(i32(shape.length + shape.dilation - 1) - start, i32(0))
    first = T.min(T.floordiv(before, dilation), i32(shape.kernel))
    end = T.max(T.min(T.floordiv(after, dilation), i32(shape.kernel)), first)
    return T.Bind(first), T.Bind(end)


def each_tile(first: int, last: int, step: int, tile: Callable[[list[Any]], None]) -> None:
    """Emit tiles of `step` positions over [first, last); a remainder overlaps the tile before."""
    count = last - first
    with T.serial(count // step) as i:
        tile([i * step + i32(first + j) for j in range(step)])
    if count % step:
        tile([i32(last - step + j) for j in range(step)])
