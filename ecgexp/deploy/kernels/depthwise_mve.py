"""Depthwise int8 convolution for Helium: dot products along time.

Sixteen channels by sixteen samples are turned round in a 256-byte scratch, so that one channel's
samples lie in one vector. One such vector serves several positions: the taps are shifted instead of
the samples, by loading them from further left in a row that is zero around them. Samples in the
padding are the zero point, put there while turning round, so that positions at the border cost no
more than others.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from math import gcd
from typing import Any

import numpy as np

from ecgexp.deploy.kernels import depthwise_wide_mve, helium
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
from ecgexp.deploy.kernels.weights import Integers

Array = np.ndarray[Any, Any]
LANES = 16
QUAD = 4
_UNROLLED_ROWS = 4
MAX_TAPS = LANES
_WIDE = "wide"
_WIDE_TAPS = 3
_WIDE_POSITIONS = 32


@dataclass(frozen=True)
class Plan:
    """Which positions share one vector of samples.

    Attributes:
        spacing: Positions between two that share samples.
        shift: Samples between the taps of two such positions.
        count: Positions that share samples.
    """

    spacing: int
    shift: int
    count: int

    @classmethod
    def options(cls, shape: ConvShape) -> tuple[Plan, ...]:
        """Return the plans of a shape, the one that the cost rule takes first.

        As many positions as fit one vector share its samples, in equal shares, so that the last
        group overlaps the one before it by as little as possible; or all that fit; or fewer, with
        one or two groups more.
        """
        common = gcd(shape.stride, shape.dilation)
        spacing, shift = shape.dilation // common, shape.stride // common
        fitting = (LANES // shape.rows.kernel - shape.kernel) // shift + 1
        available = max(1, shape.length_out // spacing)
        counts = shares(available, fitting)
        return tuple(cls(spacing, shift, count) for count in counts)

    @property
    def name(self) -> str:
        """Name of the schedule."""
        return f"turned{self.count}"


def shares(available: int, fitting: int) -> tuple[int, ...]:
    """Return how many of `available` items to take at once: equal shares first, then others."""
    groups = -(-available // fitting)
    others = [min(fitting, available), *(-(-available // (groups + more)) for more in (1, 2))]
    return tuple(dict.fromkeys([-(-available // groups), *others]))


def build(shape: ConvShape, layer: Integers) -> Kernel:
    """Build the kernel that the cost rule chooses.

    Args:
        shape: Geometry with `groups == c_in == c_out` and at most `MAX_TAPS` taps.
        layer: Weights and the rest.
    """
    plans = Plan.options(shape)
    builds = {plan.name: partial(_build, shape, layer, plan) for plan in plans}
    # Lanes along channels, for any number of taps.
    builds[_WIDE] = partial(depthwise_wide_mve.build, shape, layer)
    name = f"depthwise_{shape.kind}_int8_{shape.label}{layer.suffix}"
    return with_variants(name, _WIDE if _prefers_wide(shape) else plans[0].name, builds)


def _prefers_wide(shape: ConvShape) -> bool:
    """Whether few taps, and many positions beside those at the border, make turning dear.

    Measured over 64 positions: 3 taps take 14 to 24 % fewer cycles with lanes along channels, 2
    taps a third; 5 taps and more take more, as do 3 taps over 13 positions.
    """
    return shape.taps <= _WIDE_TAPS and shape.length_out >= _WIDE_POSITIONS


def _build(shape: ConvShape, layer: Integers, plan: Plan) -> Kernel:
    constants = pack(shape, layer)
    loops = Loops(shape, plan, layer)
    parameters = [
        Parameter("data", shape.size, "int8"),
        *constant_parameters(constants),
        Parameter("out", shape.positions * shape.c_out, "int8"),
    ]
    name = f"depthwise_{shape.kind}_int8_{shape.label}"
    return Kernel(name, prim_func(name, parameters, loops.body), constants, shape.macs)


def pack(shape: ConvShape, layer: Integers) -> tuple[Array, ...]:
    """Lay out the constants of a kernel."""
    fill = -shape.c_out % QUAD
    windows = layer.weight.reshape(shape.c_out, shape.rows.kernel, shape.kernel)
    taps = windows.transpose(0, 2, 1).reshape(shape.c_out, shape.taps)
    padded = np.pad(taps, ((0, fill), (0, LANES - shape.taps))).reshape(-1)
    return (
        np.concatenate([np.zeros(LANES, np.int8), padded]),
        np.pad(layer.bias, (0, fill)),
        np.pad(layer.scale, (0, fill)),
    )


class Loops:
    """Emits the loops of one depthwise convolution."""

    def __init__(self, shape: ConvShape, plan: Plan, layer: Integers) -> None:
        self.shape, self.plan, self.layer = shape, plan, layer
        self.samples = (plan.count - 1) * plan.shift + shape.kernel
        self.lines = shape.rows.kernel
        self.row: Any = None
        self.data: Any = None
        self.weights: Any = None
        self.biases: Any = None
        self.scales: Any = None
        self.out: Any = None
        self.scratch: Any = None

    def body(self, data: Any, weights: Any, biases: Any, scales: Any, out: Any) -> None:
        """Emit the whole kernel."""
        self.data, self.weights, self.biases = data, weights, biases
        self.scales, self.out = scales, out
        self.scratch = local(LANES * LANES, "int8")
        rows = self.shape.rows.length_out
        if rows == 1:
            self.positions(i32(0))
        else:
            with T.serial(rows) as row:
                self.positions(row)

    def positions(self, row: Any) -> None:
        """Emit one row of the result."""
        self.row = row
        spacing, together = self.plan.spacing, self.plan.count
        with T.serial(min(spacing, self.shape.length_out)) as residue:
            shortest, longer = divmod(self.shape.length_out, spacing)
            with T.serial(max(1, shortest // together)) as i:
                self.channels(residue + i * (together * spacing))
            if shortest % together or (shortest and longer):
                # One more group, overlapping the one before, instead of a remainder. A division
                # by the residue would be simpler to read, but TVM 0.27 simplifies it wrongly.
                first = i32((shortest - together) * spacing)
                last = i32((shortest + 1 - together) * spacing)
                self.channels(residue + T.Select(residue < longer, last, first))

    def channels(self, p: Any) -> None:
        """Emit all channels of the positions that share samples with p."""
        full, rest = divmod(self.shape.c_out, LANES)
        if full:
            with T.serial(full) as block:
                self._block(p, block * LANES, LANES)
        if rest:
            self._block(p, i32(full * LANES), rest)

    def _block(self, p: Any, channel: Any, width: int) -> None:
        """Emit the positions that share samples with p, for up to 16 channels."""
        self._turn(p, channel, width)
        whole = width // QUAD
        if whole:
            with T.serial(whole) as quad:
                self.quad(p, channel, quad * QUAD, QUAD)
        if width % QUAD:
            self.quad(p, channel, i32(whole * QUAD), width % QUAD)

    def _turn(self, p: Any, channel: Any, width: int) -> None:
        """Fill the scratch with (channel, sample)."""
        shape = self.shape
        start = T.Bind(p * i32(shape.stride) - i32(shape.pads[0]))
        end = start + i32((self.samples - 1) * shape.dilation)
        rows = shape.rows
        line = self.row * i32(rows.stride) - i32(rows.pads[0])
        line = line if shape.is_flat else T.Bind(line)
        if not any(shape.pads) and not any(rows.pads):
            self._turn_inside(line, start, channel, width)
            return
        whole = T.And(start >= 0, end < shape.length)
        if any(rows.pads):
            last = line + i32((rows.kernel - 1) * rows.dilation)
            whole = T.And(whole, T.And(line >= 0, last < rows.length))
        with T.If(whole):
            with T.Then():
                self._turn_inside(line, start, channel, width)
            with T.Else(), T.serial(self.samples) as sample:
                self._each_line(
                    lambda k: self._turn_checked(line, start, channel, width, sample, k)
                )

    def _each_line(self, emit: Callable[[Any], None]) -> None:
        if self.lines == 1:
            emit(i32(0))
        else:
            with T.serial(self.lines) as k:
                emit(k)

    def _turn_checked(
        self, line: Any, start: Any, channel: Any, width: int, sample: Any, k: Any
    ) -> None:
        """Turn a sample that may lie in the padding."""
        shape, rows = self.shape, self.shape.rows
        t = start + sample * i32(shape.dilation)
        inside = T.And(t >= 0, t < shape.length)
        row = line + k * i32(rows.dilation)
        if any(rows.pads):
            inside = T.And(inside, T.And(row >= 0, row < rows.length))
        with T.If(inside):
            with T.Then():
                value = self._load(row * shape.length + t, channel, width)
                self._scatter(sample * self.lines + k, value)
            with T.Else():
                filling = helium.splat(T.int8(self.layer.x.zero_point), LANES)
                self._scatter(sample * self.lines + k, filling)

    def _turn_inside(self, line: Any, start: Any, channel: Any, width: int) -> None:
        shape = self.shape
        origin = start if shape.is_flat else T.Bind(line * shape.length + start)
        row_step = shape.rows.dilation * shape.length

        def turn(sample: Any) -> None:
            for k in range(self.lines):
                t = origin + sample * i32(shape.dilation) + i32(k * row_step)
                self._scatter(sample * self.lines + k, self._load(t, channel, width))

        unrolled = max(1, _UNROLLED_ROWS // self.lines)
        loops, rest = divmod(self.samples, unrolled)
        if loops:
            with T.serial(loops) as i:
                for sample in range(unrolled):
                    turn(i * unrolled + sample)
        for sample in range(self.samples - rest, self.samples):
            turn(i32(sample))

    def _load(self, t: Any, channel: Any, width: int) -> Any:
        index = ramp(t * self.shape.c_in + channel, LANES)
        if width == LANES:
            return self.data[index]
        return T.masked_load("int8x16", self.data, index, helium.lanes_below(i32(width)))

    def _scatter(self, row: Any, values: Any) -> None:
        helium.scatter_bytes(self.scratch, row, LANES, values)

    def quad(self, p: Any, channel: Any, quad: Any, width: int) -> None:
        """Emit four channels of all positions that share samples."""
        samples = [T.Bind(self.scratch[ramp((quad + m) * LANES, LANES)]) for m in range(width)]
        at = channel + quad
        bias = T.Bind(self.biases[ramp(at, QUAD)])
        scale = T.Bind(self.scales[ramp(at, QUAD)])
        with T.serial(self.plan.count) as j:
            acc = local(QUAD, "int32")
            for m in range(QUAD):
                if m < width:
                    tap = i32(LANES) + (at + m) * LANES - j * (self.plan.shift * self.lines)
                    dot = helium.dot(i32(0), samples[m], self.weights[ramp(tap, LANES)])
                store(acc, m, dot if m < width else i32(0))
            sums = acc[ramp(0, QUAD)] + bias
            values = helium.requantize(sums, scale, self.layer.y, self.layer.limits)
            position = self.row * self.shape.length_out + p + j * self.plan.spacing
            helium.store_lanes(self.out, position * self.shape.c_out + at, values, width)
