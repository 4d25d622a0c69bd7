"""Schedules of a dense convolution on Helium: the tile, and the order in which a window is read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ecgexp.deploy.kernels.conv_shape import ConvShape

Tile = Literal["2x4", "4x2", "1x4"]
TILES: tuple[Tile, ...] = ("2x4", "4x2", "1x4")
_LANES = 16
_UNROLLED_CHUNKS = 24
_MOST_UNROLLED_CHUNKS = 40
_LOOP_CHUNKS = (4, 8)
_UNROLLED_TAPS = 16
_COLUMN = 4
_BLOCK = 4
_WASTE = 1.2
_SHARED_LOADS = 3.0


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
    def of(cls, shape: ConvShape, order: str) -> ChunkPlan:
        """Return the plan of one of the orders of `orders`."""
        return cls.orders(shape)[order]

    @classmethod
    def orders(cls, shape: ConvShape) -> dict[str, ChunkPlan]:
        """Return every order that suits a shape by name, the one that the cost rule takes first.

        Few chunks are unrolled; else the taps of one slice of channels, which slide over positions.
        """
        runs = runs_of(shape)
        every = tuple(
            (runs.offset(run) + chunk * _LANES, run * runs.chunks + chunk)
            for run in range(runs.count)
            for chunk in range(runs.chunks)
        )
        plans: dict[str, ChunkPlan] = {}
        unrolled = cls(1, 0, 0, every, runs.total)
        if runs.total <= _UNROLLED_CHUNKS:
            plans["unrolled"] = unrolled
        slices = shape.group_in // _LANES
        if shape.group_in % _LANES == 0 and shape.taps <= _UNROLLED_TAPS:
            plans["slices"] = cls(slices, _LANES, 1, every[::slices], runs.total)
        if not shape.is_flat:
            in_row = runs.per_row * runs.chunks
            rows = cls(shape.rows.kernel, runs.row_step, in_row, every[:in_row], runs.total)
            plans["rows"] = rows
        elif runs.count > 1:
            chunks = runs.chunks
            plans["runs"] = cls(runs.count, runs.step, chunks, every[:chunks], runs.total)
        else:
            for size in _LOOP_CHUNKS:
                # The filling chunks of the last iteration meet zero weights.
                loops = -(-runs.chunks // size)
                plans[f"blocks{size}"] = cls(loops, size * _LANES, size, every[:size], loops * size)
        if runs.total <= _MOST_UNROLLED_CHUNKS:
            plans.setdefault("unrolled", unrolled)
        first = next(iter(plans))
        return {name: p for name, p in plans.items() if p.loops > 1 or name in (first, "unrolled")}


@dataclass(frozen=True)
class Schedule:
    """How to compute a convolution; every schedule gives the same bytes.

    Attributes:
        tile: Positions by channels that are summed at once.
        order: Name of the order in which a window is read.
    """

    tile: Tile
    order: str

    @property
    def name(self) -> str:
        """Both in one word."""
        return f"{self.tile}_{self.order}"


def schedules(shape: ConvShape) -> tuple[Schedule, ...]:
    """Return every schedule that suits a shape."""
    tiles = [tile for tile in TILES if tile != "4x2" or shape.length_out >= _COLUMN]
    return tuple(Schedule(tile, order) for order in ChunkPlan.orders(shape) for tile in tiles)


def choose(shape: ConvShape) -> Schedule:
    """Choose by rule: 4 x 2 tiles where they share loads, or compute fewer channels for nothing."""
    order = next(iter(ChunkPlan.orders(shape)))
    # Four channels at a time compute some that do not exist.
    computed = -(-shape.group_out // _BLOCK) * _BLOCK
    wasteful = computed >= _WASTE * shape.group_out
    columns = shape.length_out >= _COLUMN and (wasteful or columns_share(shape))
    return Schedule("4x2" if columns else "2x4", order)


def columns_share(shape: ConvShape) -> bool:
    """Return whether four positions in a 4 x 2 tile share most loads.

    Measured: LLVM has even registers for eight sums only as long as few addresses live beside
    them, which holds for 2 x 4 tiles and, with a loop over slices of channels, for 4 x 2.
    """
    plan = next(iter(ChunkPlan.orders(shape).values()))
    advance = shape.stride * shape.c_in
    distinct = {j * advance + x for x, _ in plan.chunks for j in range(_COLUMN)}
    return plan.loops > 1 or _COLUMN * len(plan.chunks) / len(distinct) >= _SHARED_LOADS
