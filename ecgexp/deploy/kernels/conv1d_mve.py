"""Dense and grouped int8 convolution for Helium: dot products of 16 bytes.

Time-major data makes the window of a position one run of bytes (or one run per tap, where taps are
dilated or channels grouped), so a window is read in chunks of 16 without rearranging anything.
Weights lie as (channel block, chunk, channel in block, 16), the ends of runs filled with zeros.
A tile is `_POSITIONS` positions by four channels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ecgexp.deploy.kernels import helium
from ecgexp.deploy.kernels.conv_shape import ConvShape
from ecgexp.deploy.kernels.ir import (
    Parameter,
    T,
    constant_parameters,
    i32,
    local,
    prim_func,
    ramp,
    store,
)
from ecgexp.deploy.kernels.kernel import Kernel, QParams

Array = np.ndarray[Any, Any]
_BLOCK = 4
_LANES = 16
_POSITIONS = 2


@dataclass(frozen=True)
class _Runs:
    """How a window divides into runs of bytes and those into chunks of 16.

    Attributes:
        count: Runs in a window.
        size: Bytes of a run.
        step: Bytes of input between the starts of two runs.
    """

    count: int
    size: int
    step: int

    @property
    def chunks(self) -> int:
        """Chunks of one run."""
        return -(-self.size // _LANES)

    @property
    def total(self) -> int:
        """Chunks of a window."""
        return self.count * self.chunks


def runs_of(shape: ConvShape) -> _Runs:
    """Divide the window of a convolution into runs."""
    if shape.groups == 1 and shape.dilation == 1:
        return _Runs(1, shape.kernel * shape.c_in, 0)
    return _Runs(shape.kernel, shape.group_in, shape.dilation * shape.c_in)


def build(
    shape: ConvShape,
    weight: Array,
    bias: Array,
    scale: Array,
    *,
    x: QParams,
    y: QParams,
    limits: tuple[int, int],
) -> Kernel:
    """Build the kernel.

    Args:
        shape: Geometry.
        weight: (c_out, c_in / groups, kernel) int8.
        bias: (c_out,) int32 with the input's zero point folded in.
        scale: (c_out,) float32 requantization multipliers.
        x: Quantization of the input.
        y: Quantization of the output.
        limits: Smallest and largest output value.
    """
    constants = (
        _pack_weights(shape, weight),
        _per_block(shape, bias),
        _per_block(shape, scale),
    )
    tile = _Tile(shape, x, y, limits)
    parameters = [
        Parameter("data", shape.length * shape.c_in, "int8"),
        *constant_parameters(constants),
        Parameter("out", shape.length_out * shape.c_out, "int8"),
    ]
    name = f"conv1d_int8_{shape.label}"
    return Kernel(name, prim_func(name, parameters, tile.body), constants, shape.macs)


def _blocks(shape: ConvShape) -> int:
    """Blocks of output channels in one group."""
    return -(-shape.group_out // _BLOCK)


def _per_block(shape: ConvShape, values: Array) -> Array:
    """Fill each group's channels up to whole blocks."""
    padding = _blocks(shape) * _BLOCK - shape.group_out
    grouped = values.reshape(shape.groups, shape.group_out)
    return np.ascontiguousarray(np.pad(grouped, ((0, 0), (0, padding)))).reshape(-1)


def _pack_weights(shape: ConvShape, weight: Array) -> Array:
    runs, blocks = runs_of(shape), _blocks(shape)
    windows = weight.transpose(0, 2, 1).reshape(shape.groups, shape.group_out, runs.count, -1)
    padded = np.pad(
        windows,
        (
            (0, 0),
            (0, blocks * _BLOCK - shape.group_out),
            (0, 0),
            (0, runs.chunks * _LANES - runs.size),
        ),
    )
    tiled = padded.reshape(shape.groups, blocks, _BLOCK, runs.total, _LANES)
    return np.ascontiguousarray(tiled.transpose(0, 1, 3, 2, 4)).reshape(-1)


class _Tile:
    """Emits the loops of one convolution."""

    def __init__(self, shape: ConvShape, x: QParams, y: QParams, limits: tuple[int, int]) -> None:
        self.shape, self.x, self.y, self.limits = shape, x, y, limits
        self.runs = runs_of(shape)
        self.first, self.last = self._interior()
        self.data: Any = None
        self.weights: Any = None
        self.biases: Any = None
        self.scales: Any = None
        self.out: Any = None

    def _interior(self) -> tuple[int, int]:
        """Return the positions [first, last) whose 16-byte loads stay inside the input."""
        shape, runs = self.shape, self.runs
        first = -(-shape.pads[0] // shape.stride)
        # The furthest byte a position reads, relative to its window, over-read of the tail
        # included; grouped channels read furthest in the last group.
        reach = (runs.count - 1) * runs.step + runs.chunks * _LANES
        reach += shape.c_in - shape.group_in if runs.count > 1 or shape.groups > 1 else 0
        room = shape.length * shape.c_in - reach
        last = room // (shape.stride * shape.c_in) if room >= 0 else -1
        last = (room // shape.c_in + shape.pads[0]) // shape.stride if room >= 0 else -1
        last = min(last + 1, shape.length_out)
        return (first, last) if last > first else (0, 0)

    def body(self, data: Any, weights: Any, biases: Any, scales: Any, out: Any) -> None:
        """Emit the whole kernel."""
        self.data, self.weights, self.biases = data, weights, biases
        self.scales, self.out = scales, out
        blocks = _blocks(self.shape)
        full = self.shape.group_out // _BLOCK
        with T.serial(self.shape.groups) as group:
            if full:
                with T.serial(full) as block:
                    self._positions(group, group * blocks + block, block * _BLOCK, _BLOCK)
            if full < blocks:
                rest = self.shape.group_out - full * _BLOCK
                self._positions(group, group * blocks + full, i32(full * _BLOCK), rest)

    def _positions(self, group: Any, block: Any, channel: Any, width: int) -> None:
        count = self.last - self.first
        step = min(_POSITIONS, count)
        if count:
            with T.serial(count // step) as i:
                p = i * step + i32(self.first)
                self._tile([p + j for j in range(step)], group, block, channel, width, False)
            if count % step:
                # One more tile, overlapping the one before, instead of a remainder.
                p = i32(self.last - step)
                self._tile([p + j for j in range(step)], group, block, channel, width, False)
        if self.shape.length_out > count:
            with T.serial(self.shape.length_out - count) as i:
                p = T.if_then_else(i < self.first, i, i + i32(count)) if count else i
                self._tile([p], group, block, channel, width, True)

    def _tile(
        self, positions: list[Any], group: Any, block: Any, channel: Any, width: int, border: bool
    ) -> None:
        shape, runs = self.shape, self.runs
        acc = local(len(positions) * _BLOCK, "int32")
        for index in range(len(positions) * width):
            store(acc, index // width * _BLOCK + index % width, i32(0))
        starts = [T.Bind(p * i32(shape.stride) - i32(shape.pads[0])) for p in positions]
        for run in range(runs.count):
            for chunk in range(runs.chunks):
                self._chunk(acc, starts, group, block, (run, chunk), width, border)
        for j, p in enumerate(positions):
            sums = acc[ramp(j * _BLOCK, _BLOCK)] + self.biases[ramp(block * _BLOCK, _BLOCK)]
            scale = self.scales[ramp(block * _BLOCK, _BLOCK)]
            values = helium.requantize(sums, scale, self.y, self.limits)
            at = p * shape.c_out + group * shape.group_out + channel
            helium.store_lanes(self.out, at, values, width)

    def _chunk(
        self,
        acc: Any,
        starts: list[Any],
        group: Any,
        block: Any,
        place: tuple[int, int],
        width: int,
        border: bool,
    ) -> None:
        runs, (run, chunk) = self.runs, place
        index = run * runs.chunks + chunk
        offset = group * self.shape.group_in + i32(run * runs.step + chunk * _LANES)
        inputs = []
        for start in starts:
            base = start * self.shape.c_in + offset
            if border:
                inputs.append(T.Bind(self._border_load(start, base, run, chunk)))
            else:
                inputs.append(T.Bind(self.data[ramp(base, _LANES)]))
        for m in range(width):
            at = ((block * runs.total + index) * _BLOCK + m) * _LANES
            taps = T.Bind(self.weights[ramp(at, _LANES)])
            for j, values in enumerate(inputs):
                slot = j * _BLOCK + m
                store(acc, slot, helium.dot(acc[slot], values, taps))

    def _border_load(self, start: Any, base: Any, run: int, chunk: int) -> Any:
        """Load a chunk whose bytes before or after the input read as the zero point."""
        shape, runs = self.shape, self.runs
        zero_point = helium.splat(T.int8(self.x.zero_point), _LANES)
        if runs.count == 1:
            before = -start * shape.c_in - i32(chunk * _LANES)
            end = T.min((i32(shape.length) - start) * shape.c_in, i32(runs.size))
            skip = T.min(T.max(before, i32(0)), i32(_LANES))
            keep = T.min(T.max(end - i32(chunk * _LANES), i32(0)), i32(_LANES))
        else:
            t = start + i32(run * shape.dilation)
            inside = T.And(t >= 0, t < shape.length)
            skip = None
            keep = T.if_then_else(inside, i32(min(_LANES, runs.size - chunk * _LANES)), i32(0))
        mask = helium.lanes_below(keep)
        if skip is not None:
            mask = T.And(mask, T.Not(helium.lanes_below(skip)))
        loaded = T.masked_load("int8x16", self.data, ramp(base, _LANES), mask)
        return T.Select(mask, loaded, zero_point)
