"""Depthwise int8 convolution for the DSP extension: two samples of a channel per instruction.

Two channels of two neighbouring taps make a word, which widens to one operand per channel. Up to
four positions share the samples: a position whose first tap is the second sample of a word meets
words of weights that start one tap earlier, in a row with a zero before and after it. All words of
weights of two channels are widened before the first position.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import gcd
from typing import Any

import numpy as np

from ecgexp.deploy.kernels import dsp, helium
from ecgexp.deploy.kernels.conv_shape import ConvShape
from ecgexp.deploy.kernels.ir import (
    Parameter,
    T,
    constant_parameters,
    i32,
    local,
    prim_func,
    store,
)
from ecgexp.deploy.kernels.kernel import Kernel
from ecgexp.deploy.kernels.weights import Integers, by_tap

Array = np.ndarray[Any, Any]
_PAIR = 2
_POSITIONS = 4
_MAX_TAPS = 64
# A kernel may keep 256 bytes on the stack.
_KEPT_WORDS = 64


def fits(shape: ConvShape) -> bool:
    """Return whether the kernel computes this convolution: few taps, for they are unrolled."""
    return shape.is_flat and shape.c_out >= _PAIR and shape.kernel <= _MAX_TAPS


@dataclass(frozen=True)
class _Plan:
    """Which positions share samples.

    Attributes:
        spacing: Positions between two that share samples.
        shift: Taps between the windows of two such positions.
        count: Positions that share samples.
    """

    spacing: int
    shift: int
    count: int

    @classmethod
    def of(cls, shape: ConvShape) -> _Plan:
        common = gcd(shape.stride, shape.dilation)
        spacing = shape.dilation // common
        available = max(1, shape.length_out // spacing)
        # Equal shares: the last group overlaps the one before it by as little as possible.
        groups = -(-available // _POSITIONS)
        return cls(spacing, shape.stride // common, -(-available // groups))


def build(shape: ConvShape, layer: Integers) -> Kernel:
    """Build the kernel; for the geometry, with `groups == c_in == c_out`, `fits` holds."""
    packed = (_pack(shape, by_tap(layer.weight)), layer.bias, layer.scale)
    loops = _Loops(shape, layer)
    parameters = [
        Parameter("data", shape.length * shape.c_in, "int8"),
        *constant_parameters(packed),
        Parameter("out", shape.length_out * shape.c_out, "int8"),
    ]
    name = f"depthwise_conv1d_int8_{shape.label}"
    return Kernel(name, prim_func(name, parameters, loops.body), packed, shape.macs)


def _pack(shape: ConvShape, taps: Array) -> Array:
    """Lay weights as (pair, zero tap, taps, zero tap, channel of pair)."""
    rows = taps.reshape(shape.kernel, shape.c_out)
    firsts = [min(first, shape.c_out - _PAIR) for first in range(0, shape.c_out, _PAIR)]
    pairs = np.stack([rows[:, first : first + _PAIR] for first in firsts])
    return np.ascontiguousarray(np.pad(pairs, ((0, 0), (1, 1), (0, 0)))).reshape(-1)


class _Loops:
    """Emits the loops of one depthwise convolution."""

    def __init__(self, shape: ConvShape, layer: Integers) -> None:
        self.shape, self.layer = shape, layer
        self.plan = _Plan.of(shape)
        self.rows = (self.plan.count - 1) * self.plan.shift + shape.kernel
        self.data: Any = None
        self.out: Any = None
        self.taps: dict[int, tuple[Any, Any]] = {}
        self.biases: list[Any] = []
        self.scales: list[Any] = []

    def body(self, data: Any, weights: Any, biases: Any, scales: Any, out: Any) -> None:
        """Emit the whole kernel."""
        self.data, self.out = data, out
        shape = self.shape
        with T.serial(-(-shape.c_out // _PAIR)) as pair:
            # An odd last channel is computed with the one before it, a second time.
            channel = pair * _PAIR
            if shape.c_out % _PAIR:
                channel = T.Bind(T.min(channel, i32(shape.c_out - _PAIR)))
            row = pair * ((shape.kernel + 2) * _PAIR)
            self.taps = self._widened(weights, row)
            self.biases = [T.Bind(biases[channel + n]) for n in range(_PAIR)]
            self.scales = [T.Bind(scales[channel + n]) for n in range(_PAIR)]
            self._positions(channel)

    def _widened(self, weights: Any, row: Any) -> dict[int, tuple[Any, Any]]:
        """Return the operands of both channels by the first tap of their word."""
        operands = {}
        used = self._used_taps()
        # A buffer, because TVM moves what is bound to where it is used, into the loop.
        kept = local(len(used) * _PAIR, "int32") if len(used) * _PAIR <= _KEPT_WORDS else None
        for index, tap in enumerate(used):
            word = dsp.word(weights, row + i32((tap + 1) * _PAIR))
            pair = dsp.even_bytes(word), dsp.odd_bytes(word)
            if kept is not None:
                for n in range(_PAIR):
                    store(kept, index * _PAIR + n, pair[n])
                pair = kept[index * _PAIR], kept[index * _PAIR + 1]
            operands[tap] = pair
        return operands

    def _used_taps(self) -> list[int]:
        """First taps of the words of weights that some position meets."""
        shifts = {j * self.plan.shift % 2 for j in range(self.plan.count)}
        return [tap for tap in range(-1, self.shape.kernel) if tap % 2 in shifts]

    def _positions(self, channel: Any) -> None:
        spacing, together = self.plan.spacing, self.plan.count
        with T.serial(min(spacing, self.shape.length_out)) as residue:
            shortest, longer = divmod(self.shape.length_out, spacing)
            with T.serial(max(1, shortest // together)) as i:
                self._group(residue + i * (together * spacing), channel)
            if shortest % together or (shortest and longer):
                # One more group, overlapping the one before, instead of a remainder.
                first = i32((shortest - together) * spacing)
                last = i32((shortest + 1 - together) * spacing)
                self._group(residue + T.Select(residue < longer, last, first), channel)

    def _group(self, p: Any, channel: Any) -> None:
        """Emit two channels of the positions that share samples with p."""
        p = T.Bind(p)
        start = T.Bind(p * i32(self.shape.stride) - i32(self.shape.pads[0]))
        if not any(self.shape.pads):
            self._tile(p, start, channel, border=False)
            return
        end = start + i32((self.rows - 1) * self.shape.dilation)
        with T.If(T.And(start >= 0, end < self.shape.length)):
            with T.Then():
                self._tile(p, start, channel, border=False)
            with T.Else():
                self._tile(p, start, channel, border=True)

    def _tile(self, p: Any, start: Any, channel: Any, *, border: bool) -> None:
        plan, shape = self.plan, self.shape
        # Hidden, so that LLVM gives no row a pointer of its own.
        origin = T.Bind(helium.opaque(start * shape.c_in + channel))
        target = T.Bind(helium.opaque(p * shape.c_out + channel))
        words: list[tuple[dict[int, int], Any]] = []
        for row in range(0, self.rows, 2):
            taps = {j: row - j * plan.shift for j in range(plan.count)}
            meeting = {j: tap for j, tap in taps.items() if -1 <= tap < shape.kernel}
            if meeting:
                words.append((meeting, self._samples(start, origin, row, border)))
        for n, widen in enumerate((dsp.even_bytes, dsp.odd_bytes)):
            acc = local(plan.count, "int32")
            for j in range(plan.count):
                store(acc, j, self.biases[n])
            for meeting, word in words:
                value = widen(word)
                for j, tap in meeting.items():
                    store(acc, j, dsp.dot_pairs(acc[j], value, self.taps[tap][n]))
            for j in range(plan.count):
                result = dsp.requantize(acc[j], self.scales[n], self.layer.y, self.layer.limits)
                store(self.out, target + i32(j * plan.spacing * shape.c_out + n), result)

    def _samples(self, start: Any, origin: Any, row: int, border: bool) -> Any:
        """Return two channels of two rows as a word; a row behind the last reads as any."""
        first = self._half(start, origin, row, border)
        if row + 1 == self.rows:
            return first
        return dsp.join_halves(first, self._half(start, origin, row + 1, border))

    def _half(self, start: Any, origin: Any, row: int, border: bool) -> Any:
        ahead = row * self.shape.dilation
        value = dsp.load_half(self.data, origin + i32(ahead * self.shape.c_in))
        if border:
            filling = int(np.full(_PAIR, self.layer.x.zero_point, np.int8).view(np.int16)[0])
            t = start + i32(ahead)
            value = T.if_then_else(T.And(t >= 0, t < self.shape.length), value, i32(filling))
        return T.Bind(value)
