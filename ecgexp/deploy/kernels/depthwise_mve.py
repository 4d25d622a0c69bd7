"""Depthwise int8 convolution for Helium: dot products along time.

Sixteen channels by sixteen samples are turned round in a 256-byte scratch, so that one channel's
samples lie in one vector. One such vector serves several positions: the taps are shifted instead of
the samples, by loading them from further left in a row that is zero around them. Samples in the
padding are the zero point, put there while turning round, so that positions at the border cost no
more than others.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import gcd
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
_LANES = 16
_QUAD = 4
_UNROLLED_ROWS = 4
MAX_TAPS = _LANES


@dataclass(frozen=True)
class _Plan:
    """Which positions share one vector of samples.

    Attributes:
        spacing: Positions between two that share samples.
        shift: Lanes between the taps of two such positions.
        count: Positions that share samples.
    """

    spacing: int
    shift: int
    count: int

    @classmethod
    def of(cls, shape: ConvShape) -> _Plan:
        common = gcd(shape.stride, shape.dilation)
        spacing, shift = shape.dilation // common, shape.stride // common
        fitting = (_LANES - shape.kernel) // shift + 1
        available = max(1, shape.length_out // spacing)
        # Equal shares: the last group overlaps the one before it by as little as possible.
        groups = -(-available // fitting)
        return cls(spacing, shift, -(-available // groups))


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
        shape: Geometry with `groups == c_in == c_out` and at most `MAX_TAPS` taps.
        weight: (channel, 1, kernel) int8.
        bias: (channel,) int32 with the input's zero point folded in.
        scale: (channel,) float32 requantization multipliers.
        x: Quantization of the input.
        y: Quantization of the output.
        limits: Smallest and largest output value.
    """
    plan = _Plan.of(shape)
    fill = -shape.c_out % _QUAD
    taps = np.pad(weight[:, 0, :], ((0, fill), (0, _LANES - shape.kernel))).reshape(-1)
    constants = (
        np.concatenate([np.zeros(_LANES, np.int8), taps]),
        np.pad(bias, (0, fill)),
        np.pad(scale, (0, fill)),
    )
    loops = _Loops(shape, plan, x, y, limits)
    parameters = [
        Parameter("data", shape.length * shape.c_in, "int8"),
        *constant_parameters(constants),
        Parameter("out", shape.length_out * shape.c_out, "int8"),
    ]
    name = f"depthwise_conv1d_int8_{shape.label}"
    return Kernel(name, prim_func(name, parameters, loops.body), constants, shape.macs)


class _Loops:
    """Emits the loops of one depthwise convolution."""

    def __init__(
        self, shape: ConvShape, plan: _Plan, x: QParams, y: QParams, limits: tuple[int, int]
    ) -> None:
        self.shape, self.plan, self.x, self.y, self.limits = shape, plan, x, y, limits
        self.rows = (plan.count - 1) * plan.shift + shape.kernel
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
        self.scratch = local(_LANES * _LANES, "int8")
        spacing, together = self.plan.spacing, self.plan.count
        with T.serial(min(spacing, self.shape.length_out)) as residue:
            shortest, longer = divmod(self.shape.length_out, spacing)
            with T.serial(max(1, shortest // together)) as i:
                self._channels(residue + i * (together * spacing))
            if shortest % together or (shortest and longer):
                # One more group, overlapping the one before, instead of a remainder. A division
                # by the residue would be simpler to read, but TVM 0.27 simplifies it wrongly.
                first = i32((shortest - together) * spacing)
                last = i32((shortest + 1 - together) * spacing)
                self._channels(residue + T.Select(residue < longer, last, first))

    def _channels(self, p: Any) -> None:
        """Emit all channels of the positions that share samples with p."""
        full, rest = divmod(self.shape.c_out, _LANES)
        if full:
            with T.serial(full) as block:
                self._block(p, block * _LANES, _LANES)
        if rest:
            self._block(p, i32(full * _LANES), rest)

    def _block(self, p: Any, channel: Any, width: int) -> None:
        """Emit the positions that share samples with p, for up to 16 channels."""
        self._turn(p, channel, width)
        whole = width // _QUAD
        if whole:
            with T.serial(whole) as quad:
                self._quad(p, channel, quad * _QUAD, _QUAD)
        if width % _QUAD:
            self._quad(p, channel, i32(whole * _QUAD), width % _QUAD)

    def _turn(self, p: Any, channel: Any, width: int) -> None:
        """Fill the scratch with (channel, sample)."""
        shape = self.shape
        start = T.Bind(p * i32(shape.stride) - i32(shape.pads[0]))
        end = start + i32((self.rows - 1) * shape.dilation)
        if not any(shape.pads):
            self._turn_inside(start, channel, width)
            return
        with T.If(T.And(start >= 0, end < shape.length)):
            with T.Then():
                self._turn_inside(start, channel, width)
            with T.Else(), T.serial(self.rows) as row:
                t = start + row * i32(shape.dilation)
                inside = T.And(t >= 0, t < shape.length)
                with T.If(inside):
                    with T.Then():
                        self._scatter(row, self._load(t, channel, width))
                    with T.Else():
                        self._scatter(row, helium.splat(T.int8(self.x.zero_point), _LANES))

    def _turn_inside(self, start: Any, channel: Any, width: int) -> None:
        def turn(row: Any) -> None:
            t = start + row * i32(self.shape.dilation)
            self._scatter(row, self._load(t, channel, width))

        loops, rest = divmod(self.rows, _UNROLLED_ROWS)
        if loops:
            with T.serial(loops) as i:
                for row in range(_UNROLLED_ROWS):
                    turn(i * _UNROLLED_ROWS + row)
        for row in range(self.rows - rest, self.rows):
            turn(i32(row))

    def _load(self, t: Any, channel: Any, width: int) -> Any:
        index = ramp(t * self.shape.c_in + channel, _LANES)
        if width == _LANES:
            return self.data[index]
        return T.masked_load("int8x16", self.data, index, helium.lanes_below(i32(width)))

    def _scatter(self, row: Any, values: Any) -> None:
        helium.scatter_bytes(self.scratch, row, _LANES, values)

    def _quad(self, p: Any, channel: Any, quad: Any, width: int) -> None:
        """Emit four channels of all positions that share samples."""
        samples = [T.Bind(self.scratch[ramp((quad + m) * _LANES, _LANES)]) for m in range(width)]
        at = channel + quad
        bias = T.Bind(self.biases[ramp(at, _QUAD)])
        scale = T.Bind(self.scales[ramp(at, _QUAD)])
        with T.serial(self.plan.count) as j:
            acc = local(_QUAD, "int32")
            for m in range(_QUAD):
                if m < width:
                    tap = i32(_LANES) + (at + m) * _LANES - j * self.plan.shift
                    dot = helium.dot(i32(0), samples[m], self.weights[ramp(tap, _LANES)])
                store(acc, m, dot if m < width else i32(0))
            sums = acc[ramp(0, _QUAD)] + bias
            values = helium.requantize(sums, scale, self.y, self.limits)
            position = p + j * self.plan.spacing
            helium.store_lanes(self.out, position * self.shape.c_out + at, values, width)
