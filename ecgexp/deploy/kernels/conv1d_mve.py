"""Dense and grouped int8 convolution for Helium: dot products of 16 bytes.

Time-major data makes the window of a position one run of bytes (or one run per tap, where taps are
dilated or channels grouped), so a window is read in chunks of 16 without rearranging anything.
Weights lie as (channel pair, chunk, channel of pair, 16), the ends of runs filled with zeros.
A tile is two positions by four channels, or four by two where positions share loads.
"""

from __future__ import annotations

from collections.abc import Callable
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
_UNROLLED_CHUNKS = 12
_LOOP_CHUNKS = 4
_UNROLLED_TAPS = 16
_SHARED_LOADS = 3.0
_POINTED_CHUNKS = 8


@dataclass(frozen=True)
class Runs:
    """How a window divides into runs of bytes and those into chunks of 16.

    Attributes:
        count: Runs in a window.
        size: Bytes of a run.
        step: Bytes of input between the starts of two runs of a row.
        per_row: Runs in one row of the window.
        row_step: Bytes of input between two rows of the window.
    """

    count: int
    size: int
    step: int
    per_row: int
    row_step: int

    def offset(self, run: int) -> int:
        """Return the bytes of input between the starts of the first run and another."""
        return run // self.per_row * self.row_step + run % self.per_row * self.step

    @property
    def chunks(self) -> int:
        """Chunks of one run."""
        return -(-self.size // _LANES)

    @property
    def total(self) -> int:
        """Chunks of a window."""
        return self.count * self.chunks


def runs_of(shape: ConvShape) -> Runs:
    """Divide the window of a convolution into runs."""
    row_step = shape.rows.dilation * shape.length * shape.c_in
    if shape.groups == 1 and shape.dilation == 1:
        return Runs(shape.rows.kernel, shape.kernel * shape.c_in, 0, 1, row_step)
    step = shape.dilation * shape.c_in
    return Runs(shape.taps, shape.group_in, step, shape.kernel, row_step)


@dataclass(frozen=True)
class ChunkPlan:
    """In which order the chunks of a window are visited: a loop over an unrolled list.

    Attributes:
        loops: Iterations of the loop.
        data_step: Input bytes between iterations.
        weight_step: Chunks of weights between iterations.
        chunks: Input offset and index of each unrolled chunk.
        total: Chunks of a window.
    """

    loops: int
    data_step: int
    weight_step: int
    chunks: tuple[tuple[int, int], ...]
    total: int

    @property
    def visited(self) -> tuple[int, ...]:
        """Chunks in the order in which they are visited, which is the order of the weights."""
        return tuple(
            loop * self.weight_step + index
            for loop in range(self.loops)
            for _, index in self.chunks
        )

    @classmethod
    def of(cls, shape: ConvShape, runs: Runs) -> ChunkPlan:
        """Unroll few chunks; else the taps of one slice of channels, which slide over positions."""
        every = [
            (runs.offset(run) + chunk * _LANES, run * runs.chunks + chunk)
            for run in range(runs.count)
            for chunk in range(runs.chunks)
        ]
        if runs.total <= _UNROLLED_CHUNKS:
            return cls(1, 0, 0, tuple(every), runs.total)
        slices = shape.group_in // _LANES
        if shape.group_in % _LANES == 0 and shape.taps <= _UNROLLED_TAPS:
            return cls(slices, _LANES, 1, tuple(every[::slices]), runs.total)
        if not shape.is_flat:
            rows, in_row = shape.rows.kernel, runs.per_row * runs.chunks
            return cls(rows, runs.row_step, in_row, tuple(every[:in_row]), runs.total)
        if runs.count > 1:
            return cls(runs.count, runs.step, runs.chunks, tuple(every[: runs.chunks]), runs.total)
        # The filling chunks of the last iteration meet zero weights.
        loops = -(-runs.chunks // _LOOP_CHUNKS)
        padded = loops * _LOOP_CHUNKS
        return cls(loops, _LOOP_CHUNKS * _LANES, _LOOP_CHUNKS, tuple(every[:_LOOP_CHUNKS]), padded)


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
        weight: (c_out, c_in / groups, tap) int8.
        bias: (c_out,) int32 with the input's zero point folded in.
        scale: (c_out,) float32 requantization multipliers.
        x: Quantization of the input.
        y: Quantization of the output.
        limits: Smallest and largest output value.
    """
    constants = pack(shape, weight, bias, scale)
    tile = Tile(shape, x, y, limits)
    parameters = [
        Parameter("data", shape.size, "int8"),
        *constant_parameters(constants),
        Parameter("out", shape.positions * shape.c_out, "int8"),
    ]
    name = f"{shape.kind}_int8_{shape.label}"
    return Kernel(name, prim_func(name, parameters, tile.body), constants, shape.macs)


def pack(shape: ConvShape, weight: Array, bias: Array, scale: Array) -> tuple[Array, ...]:
    """Lay out the constants of a kernel; arguments as for `build`."""
    return _pack_weights(shape, weight), _per_block(shape, bias), _per_block(shape, scale)


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
    plan = ChunkPlan.of(shape, runs)
    filling = plan.total - runs.total
    filled = np.pad(tiled, ((0, 0), (0, 0), (0, 0), (0, filling), (0, 0)))
    ordered = filled[:, :, :, list(plan.visited), :]
    pairs = ordered.reshape(shape.groups, blocks, _BLOCK // 2, 2, plan.total, _LANES)
    return np.ascontiguousarray(pairs.transpose(0, 1, 2, 4, 3, 5)).reshape(-1).view(np.int32)


class Tile:
    """Emits the loops of one convolution."""

    def __init__(self, shape: ConvShape, x: QParams, y: QParams, limits: tuple[int, int]) -> None:
        self.shape, self.x, self.y, self.limits = shape, x, y, limits
        self.runs = runs_of(shape)
        self.plan = ChunkPlan.of(shape, self.runs)
        self.advance = shape.stride * shape.c_in
        self.first, self.last = self._interior()
        self.has_border = self.last - self.first < shape.length_out
        # Where the current row begins, in bytes of input and output.
        self.row_in: Any = i32(0)
        self.row_out: Any = i32(0)
        self.data: Any = None
        self.words: Any = None
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
        reach = (runs.count - 1) * runs.step
        reach += (self.plan.total if runs.count == 1 else runs.chunks) * _LANES
        reach += shape.c_in - shape.group_in if runs.count > 1 or shape.groups > 1 else 0
        room = shape.length * shape.c_in - reach
        last = (room // shape.c_in + shape.pads[0]) // shape.stride if room >= 0 else -1
        last = min(last + 1, shape.length_out)
        return (first, last) if last > first else (0, 0)

    def body(self, data: Any, weights: Any, biases: Any, scales: Any, out: Any) -> None:
        """Emit the whole kernel."""
        self.bind(data, weights, biases, scales, out)
        inside = self.last - self.first
        with T.serial(self.shape.groups) as group:
            if inside and self.columns_pay(inside):
                self._column_tiles(group)
            elif inside:
                step = min(_POSITIONS, inside)
                self._row_tiles(group, lambda tile: self._tiles_inside(step, tile), border=False)
            if self.has_border:
                self._row_tiles(group, self._tiles_at_border, border=True)

    def bind(self, data: Any, weights: Any, biases: Any, scales: Any, out: Any) -> None:
        """Take the buffers of the kernel."""
        self.data, self.weights, self.biases = data, weights, biases
        self.scales, self.out = scales, out
        size = self.shape.size
        # A model's own input, which may lie at any byte, has one channel or one sample.
        if self.shape.c_in % 4 == 0 and self.shape.group_in % 4 == 0 and self.shape.length > 1:
            self.words = T.decl_buffer((size // 4,), "int32", data=data.data, layout=None)

    def _column_tiles(self, group: Any) -> None:
        pairs, single = divmod(self.shape.group_out, 2)
        if pairs:
            with T.serial(pairs) as pair:
                self._tiles_inside(4, lambda p: self._column_tile(p, group, pair * 2, 2))
        if single:
            self._tiles_inside(4, lambda p: self._column_tile(p, group, i32(pairs * 2), 1))

    def _row_tiles(
        self, group: Any, tiles: Callable[[Callable[[list[Any]], None]], None], *, border: bool
    ) -> None:
        self.each_block(
            lambda block, width: tiles(lambda p: self._row_tile(p, group, block, width, border))
        )

    def each_block(self, emit: Callable[[Any, int], None]) -> None:
        """Emit something for every four output channels of a group."""
        full, rest = divmod(self.shape.group_out, _BLOCK)
        if full:
            with T.serial(full) as block:
                emit(block, _BLOCK)
        if rest:
            emit(i32(full), rest)

    def _tiles_inside(self, step: int, tile: Callable[[list[Any]], None]) -> None:
        """Emit tiles of `step` positions that read no padding."""
        count = self.last - self.first
        with T.serial(count // step) as i:
            tile([i * step + i32(self.first + j) for j in range(step)])
        if count % step:
            # One more tile, overlapping the one before, instead of a remainder.
            tile([i32(self.last - step + j) for j in range(step)])

    def _tiles_at_border(self, tile: Callable[[list[Any]], None]) -> None:
        """Emit the positions that read padding, or could read past the end of the input."""
        inside = self.last - self.first
        with T.serial(self.shape.length_out - inside) as i:
            tile([T.if_then_else(i < self.first, i, i + i32(inside)) if inside else i])

    def columns_pay(self, count: int) -> bool:
        """Choose 4 x 2 tiles where four positions share most loads.

        Measured: LLVM has even registers for eight sums only as long as few addresses live beside
        them, which holds for 2 x 4 tiles and, with a loop over slices of channels, for 4 x 2.
        """
        distinct = {j * self.advance + x for x, _ in self.plan.chunks for j in range(4)}
        shared = 4 * len(self.plan.chunks) / len(distinct)
        return count >= 4 and (self.plan.loops > 1 or shared >= _SHARED_LOADS)

    def _column_tile(self, positions: list[Any], group: Any, channel: Any, width: int) -> None:
        """Emit four positions by one or two channels; the lanes of a result are positions."""
        shape = self.shape
        acc = local(4 * width, "int32")
        pair = group * (_blocks(shape) * 2) + T.floordiv(channel, 2)
        self._accumulate(acc, positions, group, [(pair, n) for n in range(width)], False)
        for n in range(width):
            lanes = local(4, "int32")
            for j in range(4):
                store(lanes, j, acc[j * width + n])
            slot = pair * 2 + n
            sums = lanes[ramp(0, 4)] + helium.splat(self.biases[slot], 4)
            scaled = T.Cast("float32x4", sums) * helium.splat(self.scales[slot], 4)
            values = helium.quantize_words(scaled, self.y, self.limits)
            at = self.row_out + positions[0] * shape.c_out + group * shape.group_out + channel + n
            helium.scatter_words(self.out, at, shape.c_out, values)

    def _row_tile(
        self, positions: list[Any], group: Any, block: Any, width: int, border: bool
    ) -> None:
        """Emit one or two positions by up to four channels, which are the lanes of a result."""
        acc = self.row_sums(positions, group, block, border)
        for j, p in enumerate(positions):
            self.store_row(acc[ramp(j * _BLOCK, _BLOCK)], p, group, block, width)

    def row_sums(self, positions: list[Any], group: Any, block: Any, border: bool) -> Any:
        """Emit the sums, without bias, of some positions by four channels."""
        acc = local(len(positions) * _BLOCK, "int32")
        place = group * _blocks(self.shape) + block
        members = [(place * 2 + m // 2, m % 2) for m in range(_BLOCK)]
        self._accumulate(acc, positions, group, members, border)
        return acc

    def store_row(self, sums: Any, p: Any, group: Any, block: Any, width: int) -> None:
        """Requantize the sums of four channels and store the first `width` at position p."""
        shape = self.shape
        place = (group * _blocks(shape) + block) * _BLOCK
        scale = self.scales[ramp(place, _BLOCK)]
        sums = sums + self.biases[ramp(place, _BLOCK)]
        values = helium.requantize(sums, scale, self.y, self.limits)
        at = self.row_out + p * shape.c_out + group * shape.group_out + block * _BLOCK
        helium.store_lanes(self.out, at, values, width)

    def _accumulate(
        self,
        acc: Any,
        positions: list[Any],
        group: Any,
        members: list[tuple[Any, int]],
        border: bool,
    ) -> None:
        """Sum the windows of some positions over the weights of some channels of a block."""
        for index in range(len(positions) * len(members)):
            store(acc, index, i32(0))
        start = T.Bind(positions[0] * i32(self.shape.stride) - i32(self.shape.pads[0]))
        base = self.row_in + start * self.shape.c_in + group * self.shape.group_in
        base = T.Bind(base)

        def chunks(loop: Any) -> None:
            inputs: dict[int, Any] = {}
            here = base + loop * self.plan.data_step
            origin = self._origin(here)
            streams = [
                self._hidden((pair * self.plan.total + loop * len(self.plan.chunks)) * 8)
                for pair, _ in members
            ]
            for visit, (offset, index) in enumerate(self.plan.chunks):
                taps = []
                for (_, m), stream in zip(members, streams, strict=True):
                    words = self.weights[ramp(stream + i32((visit * 2 + m) * 4), 4)]
                    taps.append(T.Bind(T.reinterpret("int8x16", words)))
                for j in range(len(positions)):
                    where = j * self.advance + offset
                    if where not in inputs:
                        if border:
                            value = self._border_load(start, here + i32(where), loop, index)
                        else:
                            value = self._load(origin, where)
                        inputs[where] = T.Bind(value)
                    for n, weights in enumerate(taps):
                        slot = j * len(members) + n
                        store(acc, slot, helium.dot(acc[slot], inputs[where], weights))

        if self.plan.loops == 1:
            chunks(i32(0))
        else:
            with T.serial(self.plan.loops) as loop:
                chunks(loop)

    def _hidden(self, index: Any) -> Any:
        """Keep LLVM from giving every load of a long loop body a pointer of its own."""
        hide = self.plan.loops > 1 and len(self.plan.chunks) > _POINTED_CHUNKS
        return T.Bind(helium.opaque(index)) if hide else index

    def _origin(self, base: Any) -> Any:
        return self._hidden(base if self.words is None else T.floordiv(base, 4))

    def _load(self, origin: Any, offset: int) -> Any:
        """Load 16 bytes; as words where rows are aligned, for the wider range of their offsets."""
        if self.words is None:
            return self.data[ramp(origin + i32(offset), _LANES)]
        return T.reinterpret("int8x16", self.words[ramp(origin + i32(offset // 4), 4)])

    def _row_inside(self, row: Any) -> Any:
        """Return whether a row of the window lies in the input."""
        raise NotImplementedError

    def _border_load(self, start: Any, at: Any, loop: Any, index: int) -> Any:
        """Load a chunk whose bytes before or after the input read as the zero point."""
        shape, runs = self.shape, self.runs
        whole = (index + 1) * _LANES <= runs.size
        if runs.count == 1 and self.plan.loops == 1 and whole and not any(shape.pads):
            return self.data[ramp(at, _LANES)]
        zero_point = helium.splat(T.int8(self.x.zero_point), _LANES)
        chunk = loop * self.plan.weight_step + i32(index)
        if runs.per_row == 1:
            begin, row_inside = chunk * _LANES, None
            if runs.count > 1:
                row_inside = self._row_inside(T.floordiv(chunk, runs.chunks))
                begin = T.floormod(chunk, runs.chunks) * _LANES
            end = T.min((i32(shape.length) - start) * shape.c_in, i32(runs.size))
            end = end if row_inside is None else T.if_then_else(row_inside, end, i32(0))
            keep = T.min(T.max(end - begin, i32(0)), i32(_LANES))
            mask = helium.lanes_below(keep)
            if shape.pads[0]:
                skip = T.min(T.max(-start * shape.c_in - begin, i32(0)), i32(_LANES))
                mask = T.And(mask, T.Not(helium.lanes_below(skip)))
        else:
            run, rest = T.floordiv(chunk, runs.chunks), T.floormod(chunk, runs.chunks)
            t = start + T.floormod(run, runs.per_row) * i32(shape.dilation)
            inside = T.And(t >= 0, t < shape.length)
            if runs.count > runs.per_row:
                inside = T.And(inside, self._row_inside(T.floordiv(run, runs.per_row)))
            left = T.min(i32(runs.size) - rest * _LANES, i32(_LANES))
            mask = helium.lanes_below(T.if_then_else(inside, left, i32(0)))
        # Bound first: inside a Select, TVM would take its own condition, lane by lane, for true.
        loaded = T.Bind(T.masked_load("int8x16", self.data, ramp(at, _LANES), mask))
        return T.Select(mask, loaded, zero_point)
