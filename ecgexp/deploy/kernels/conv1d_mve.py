"""Dense and grouped int8 convolution for Helium: dot products of 16 bytes.

Time-major data makes the window of a position one run of bytes (or one run per tap, where taps are
dilated or channels grouped), so a window is read in chunks of 16 without rearranging anything.
Weights lie as (channel pair, chunk, channel of pair, 16), the ends of runs filled with zeros.
A tile is two positions by four channels, or four by two where positions share loads.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from ecgexp.deploy.kernels import helium
from ecgexp.deploy.kernels.conv_schedule import (
    ChunkPlan,
    Schedule,
    choose,
    columns_share,
    runs_of,
    schedules,
)
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
from ecgexp.deploy.kernels.kernel import Kernel, with_variants
from ecgexp.deploy.kernels.weights import NIBBLES, Integers

Array = np.ndarray[Any, Any]
_BLOCK = 4
_LANES = 16
_WORDS = 4
_NIBBLE_BITS = 4
_POSITIONS = 2
_POINTED_CHUNKS = 8
_KEPT_CHUNKS = 4


def build(shape: ConvShape, layer: Integers) -> Kernel:
    """Build the kernel that the cost rule chooses.

    Args:
        shape: Geometry.
        layer: Weights and the rest.
    """
    return build_with(Tile, shape, layer)


def build_with(
    tile: Callable[[ConvShape, Integers, Schedule], Tile], shape: ConvShape, layer: Integers
) -> Kernel:
    """Build the kernel with loops of another kind; arguments as for `build`."""
    builds = {each.name: partial(_build, tile, shape, layer, each) for each in schedules(shape)}
    name = f"{shape.kind}_{layer.dtype}_{shape.label}{layer.suffix}"
    return with_variants(name, choose(shape).name, builds)


def _build(
    tile: Callable[[ConvShape, Integers, Schedule], Tile],
    shape: ConvShape,
    layer: Integers,
    schedule: Schedule,
) -> Kernel:
    constants = pack(shape, layer, schedule)
    parameters = [
        Parameter("data", shape.size, "int8"),
        *constant_parameters(constants),
        Parameter("out", shape.positions * shape.c_out, "int8"),
    ]
    name = f"{shape.kind}_{layer.dtype}_{shape.label}"
    func = prim_func(name, parameters, tile(shape, layer, schedule).body)
    return Kernel(name, func, constants, shape.macs)


def pack(shape: ConvShape, layer: Integers, schedule: Schedule) -> tuple[Array, ...]:
    """Lay out the constants of a kernel."""
    pairs = _ordered_pairs(shape, layer.weight, schedule)
    bias, scale = _per_block(shape, layer.bias), _per_block(shape, layer.scale)
    if not layer.is_packed:
        return pairs.reshape(-1).view(np.int32), bias, scale
    low, high = pairs[..., 0, :], pairs[..., 1, :]
    both = high * NIBBLES + (low if _carries(layer) else low & (NIBBLES - 1))
    words = np.ascontiguousarray(both).reshape(-1).view(np.int32)
    return words, bias * np.int32(NIBBLES), scale / np.float32(NIBBLES)


def _carries(layer: Integers) -> bool:
    """Whether 16 times one weight plus any other fits a byte, so that sums need no mask."""
    return bool(layer.weight.min() > -NIBBLES // 2)


def _blocks(shape: ConvShape) -> int:
    """Blocks of output channels in one group."""
    return -(-shape.group_out // _BLOCK)


def _per_block(shape: ConvShape, values: Array) -> Array:
    """Fill each group's channels up to whole blocks."""
    padding = _blocks(shape) * _BLOCK - shape.group_out
    grouped = values.reshape(shape.groups, shape.group_out)
    return np.ascontiguousarray(np.pad(grouped, ((0, 0), (0, padding)))).reshape(-1)


def _ordered_pairs(shape: ConvShape, weight: Array, schedule: Schedule) -> Array:
    """Return the weights as (group, block, pair, chunk, channel of pair, 16)."""
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
    plan = ChunkPlan.of(shape, schedule.order)
    filling = plan.total - runs.total
    filled = np.pad(tiled, ((0, 0), (0, 0), (0, 0), (0, filling), (0, 0)))
    ordered = filled[:, :, :, list(plan.visited), :]
    pairs = ordered.reshape(shape.groups, blocks, _BLOCK // 2, 2, plan.total, _LANES)
    return np.ascontiguousarray(pairs.transpose(0, 1, 2, 4, 3, 5))


class Tile:
    """Emits the loops of one convolution."""

    def __init__(self, shape: ConvShape, layer: Integers, schedule: Schedule) -> None:
        self.shape, self.layer, self.schedule = shape, layer, schedule
        self.runs = runs_of(shape)
        self.plan = ChunkPlan.of(shape, self.schedule.order)
        self.is_packed = layer.is_packed
        self.carries = self.is_packed and _carries(layer)
        # 32-bit words of one chunk's weights of two channels.
        self.pair_words = _WORDS if self.is_packed else 2 * _WORDS
        self.advance = shape.stride * shape.c_in
        self.first, self.last = self._interior()
        self.has_border = self.last - self.first < shape.length_out
        # Where the current row begins, in bytes of input and output.
        self.row_in: Any = i32(0)
        self.row_out: Any = i32(0)
        self.is_rest = False
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
            if inside >= 4 and self.schedule.tile == "4x2":
                self._column_tiles(group)
            elif inside:
                step = min(int(self.schedule.tile[0]), _POSITIONS, inside)
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
            # The lanes of a column tile are positions: its last one overlaps the one before.
            rest = count % step if step <= _POSITIONS else step
            self.is_rest = step <= _POSITIONS and len(self.plan.chunks) > _KEPT_CHUNKS
            tile([i32(self.last - rest + j) for j in range(rest)])
            self.is_rest = False

    def _tiles_at_border(self, tile: Callable[[list[Any]], None]) -> None:
        """Emit the positions that read padding, or could read past the end of the input."""
        inside = self.last - self.first
        with T.serial(self.shape.length_out - inside) as i:
            tile([T.if_then_else(i < self.first, i, i + i32(inside)) if inside else i])

    def columns_pay(self, count: int) -> bool:
        """Whether tiles of four positions share most loads."""
        return count >= 4 and columns_share(self.shape)

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
            values = helium.quantize_words(scaled, self.layer.y, self.layer.limits)
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
        values = helium.requantize(sums, scale, self.layer.y, self.layer.limits)
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
            inputs: dict[tuple[int, int | None], Any] = {}
            here = base + loop * self.plan.data_step
            origin = self._origin(here)
            streams = [
                self._hidden(
                    (pair * self.plan.total + loop * len(self.plan.chunks)) * self.pair_words
                )
                for pair, _ in members
            ]
            for visit, (offset, index) in enumerate(self.plan.chunks):
                taps = self._taps(visit, [m for _, m in members], streams)
                for j in range(len(positions)):
                    where = j * self.advance + offset
                    # At a border the same bytes may be one row's padding and the next row's input.
                    place = (where, index if border else None)
                    if place not in inputs:
                        if border:
                            value = self._border_load(start, here + i32(where), loop, index)
                        else:
                            value = self._load(origin, where)
                        inputs[place] = T.Bind(value)
                    for n, weights in enumerate(taps):
                        slot = j * len(members) + n
                        store(acc, slot, helium.dot(acc[slot], inputs[place], weights))

        if self.plan.loops == 1:
            chunks(i32(0))
        else:
            with T.serial(self.plan.loops) as loop:
                chunks(loop)
        if self.carries:
            for slot in range(len(positions) * len(members)):
                if members[slot % len(members)][1]:
                    store(acc, slot, acc[slot] - (acc[slot - 1] >> i32(_NIBBLE_BITS)))

    def _taps(self, visit: int, channels: list[int], streams: list[Any]) -> list[Any]:
        """Load a chunk's weights of some channels, each the first or second of its pair.

        Packed weights come out 16 times as large: the first channel's by a shift; the second's are
        the byte as it is, either without its low bits or with the first channel's weight in them,
        whose sum `_accumulate` takes off again.
        """
        if not self.is_packed:
            loaded = [
                self.weights[ramp(stream + i32((visit * 2 + m) * _WORDS), _WORDS)]
                for m, stream in zip(channels, streams, strict=True)
            ]
            return [T.Bind(T.reinterpret("int8x16", words)) for words in loaded]
        taps: list[Any] = []
        both: Any = None
        for m, stream in zip(channels, streams, strict=True):
            if m == 0:
                words = self.weights[ramp(stream + i32(visit * _WORDS), _WORDS)]
                both = T.Bind(T.reinterpret("int8x16", words))
                taps.append(T.Bind(both << helium.splat(T.int8(_NIBBLE_BITS), _LANES)))
            elif self.carries:
                taps.append(both)
            else:
                taps.append(T.Bind(both & helium.splat(T.int8(-NIBBLES), _LANES)))
        return taps

    def _hidden(self, index: Any) -> Any:
        """Keep LLVM from giving every load of a long loop body a pointer of its own.

        Nor may it see that a tile after a loop reads the weights of the loop, which it would then
        keep in registers that are not there.
        """
        long = self.plan.loops > 1 and len(self.plan.chunks) > _POINTED_CHUNKS
        hide = long or self.is_rest
        return T.Bind(helium.opaque(index)) if hide else index

    def _origin(self, base: Any) -> Any:
        return self._hidden(base if self.words is None else T.floordiv(base, 4))

    def _load(self, origin: Any, offset: int) -> Any:
        """Load 16 bytes; as words where rows are aligned, for the wider range of their offsets."""
        if self.words is None:
            return self.data[ramp(origin + i32(offset), _LANES)]
        return T.reinterpret("int8x16", self.words[ramp(origin + i32(offset // 4), 4)])

    def _row_inside(self, row: Any) -> Any:
        """Return 1 where a row of the window lies in the input, else 0."""
        raise NotImplementedError

    def _border_load(self, start: Any, at: Any, loop: Any, index: int) -> Any:
        """Load a chunk whose bytes before or after the input read as the zero point."""
        shape, runs = self.shape, self.runs
        whole = (index + 1) * _LANES <= runs.size
        if runs.count == 1 and self.plan.loops == 1 and whole and not any(shape.pads):
            return self.data[ramp(at, _LANES)]
        zero_point = helium.splat(T.int8(self.layer.x.zero_point), _LANES)
        chunk = loop * self.plan.weight_step + i32(index)
        if runs.per_row == 1:
            begin, row_inside = chunk * _LANES, None
            if runs.count > 1:
                row_inside = self._row_inside(T.floordiv(chunk, runs.chunks))
                begin = T.floormod(chunk, runs.chunks) * _LANES
            end = T.min((i32(shape.length) - start) * shape.c_in, i32(runs.size))
            end = end if row_inside is None else row_inside * end
            keep = T.min(T.max(end - begin, i32(0)), i32(_LANES))
            mask = helium.lanes_below(keep)
            if shape.pads[0]:
                skip = T.min(T.max(-start * shape.c_in - begin, i32(0)), i32(_LANES))
                mask = T.And(mask, T.Not(helium.lanes_below(skip)))
        else:
            run, rest = T.floordiv(chunk, runs.chunks), T.floormod(chunk, runs.chunks)
            t = start + T.floormod(run, runs.per_row) * i32(shape.dilation)
            # Products, not conditions: TVM's simplifier takes four times as long over those.
            keep = T.Cast("int32", T.And(t >= 0, t < shape.length))
            if runs.count > runs.per_row:
                keep = keep * self._row_inside(T.floordiv(run, runs.per_row))
            mask = helium.lanes_below(keep * T.min(i32(runs.size) - rest * _LANES, i32(_LANES)))
        # Bound first: inside a Select, TVM would take its own condition, lane by lane, for true.
        loaded = T.Bind(T.masked_load("int8x16", self.data, ramp(at, _LANES), mask))
        return T.Select(mask, loaded, zero_point)
