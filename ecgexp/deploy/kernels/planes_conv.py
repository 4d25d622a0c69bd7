"""Convolution and dense layer whose int8 weights lie in flash as bit planes: sums of +-x.

Per position, the window is copied to the stack, zero points where it leaves the input, so that the
segments of `Planes` are runs of bytes; every entry then adds a_i (2 P_i - S) to the sum of its
channel, and all channels are requantized as in any other int8 kernel. All of it is exact in int32,
so that the bytes are those of the ordinary kernel, whatever the order.

On Helium a word of 16 bits is the predicate under which 16 bytes are summed up (vaddvat).
"""

from __future__ import annotations

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
from ecgexp.deploy.kernels.kernel import Isa, Kernel
from ecgexp.deploy.kernels.planes import WORD, Planes, find_planes
from ecgexp.deploy.kernels.requant import requantize_scalar
from ecgexp.deploy.kernels.weights import Integers, Weights

_MOST_WINDOW = 4096
"""Bytes of a window on the stack."""


def build(*, isa: Isa, shape: ConvShape, weights: Weights) -> Kernel | None:
    """Build a layer out of bit planes.

    Args:
        isa: Instruction set to write for; `dsp` gets the plain loops.
        shape: Geometry; that of a dense layer has one position and one tap.
        weights: (c_out, c_in, ...taps) and the rest.

    Returns:
        None where the weights are no such sums, or int8 weights are no larger.
    """
    layer = weights.integers()
    if layer is None or shape.groups != 1:
        return None
    planes = find_planes(layer.weight)
    if planes is None or planes.segments * planes.words * WORD > _MOST_WINDOW:
        return None
    emitter = (_Helium if isa == "mve" else _Loops)(shape, layer, planes)
    constants = (
        planes.starts,
        planes.channel,
        planes.coordinate,
        np.ascontiguousarray(planes.bits).reshape(-1),
        layer.bias,
        layer.scale,
    )
    name = f"{shape.kind}_planes_{shape.label}"
    parameters = [
        Parameter("data", shape.size, "int8"),
        *constant_parameters(constants),
        Parameter("out", shape.positions * shape.c_out, "int8"),
    ]
    return Kernel(name, prim_func(name, parameters, emitter.body), constants, shape.macs)


class _Loops:
    """Plain loops."""

    def __init__(self, shape: ConvShape, layer: Integers, planes: Planes) -> None:
        self.shape, self.layer, self.planes = shape, layer, planes
        self.stride = planes.words * WORD

    def body(
        self,
        data: Any,
        starts: Any,
        channel: Any,
        coordinate: Any,
        bits: Any,
        biases: Any,
        scales: Any,
        out: Any,
    ) -> None:
        """Emit the loops over the positions."""
        shape, layer, planes = self.shape, self.layer, self.planes
        window = local(planes.segments * self.stride, "int8")
        sums = local(shape.c_out, "int32")
        state = local(2, "int32")
        with T.serial(planes.segments * self.stride) as j:
            store(window, j, T.int8(0))
        with T.serial(shape.positions) as p:
            self.fill(data, window, p)
            with T.serial(shape.c_out) as c:
                store(sums, c, biases[c])
            with T.serial(planes.segments) as s:
                self.total(window, s, state)
                with T.serial(starts[s + 1] - starts[s]) as e:
                    entry = starts[s] + e
                    self.plane(window, s, bits, entry, state)
                    c = T.Cast("int32", channel[entry])
                    signed = state[1] + state[1] - state[0]
                    store(sums, c, sums[c] + T.Cast("int32", coordinate[entry]) * signed)
            with T.serial(shape.c_out) as c:
                value = requantize_scalar(sums[c], scales[c], layer.y, layer.limits)
                store(out, p * shape.c_out + c, value)

    def place(self, k: Any, i: Any) -> Any:
        """Return where input channel i of tap k lies in the window."""
        pitch = self.shape.c_in if self.planes.segments == 1 else self.stride
        return k * pitch + i

    def fill(self, data: Any, window: Any, p: Any) -> None:
        """Copy what lies under the window of a position."""
        shape = self.shape
        with T.grid(shape.taps, shape.c_in) as (k, i):
            t, inside = shape.place(p, k)
            value = data[t * shape.c_in + i]
            if inside is not None:
                value = T.if_then_else(inside, value, T.int8(self.layer.x.zero_point))
            store(window, self.place(k, i), value)

    def total(self, window: Any, s: Any, state: Any) -> None:
        """Put the sum of a segment into state[0]."""
        store(state, 0, i32(0))
        with T.serial(self.planes.width) as j:
            store(state, 0, state[0] + T.Cast("int32", window[s * self.stride + j]))

    def plane(self, window: Any, s: Any, bits: Any, entry: Any, state: Any) -> None:
        """Put the sum of a segment under an entry's bits into state[1]."""
        store(state, 1, i32(0))
        with T.grid(self.planes.words, WORD) as (word, lane):
            packed = T.Cast("int32", bits[entry * self.planes.words + word])
            is_set = T.bitwise_and(T.shift_right(packed, lane), i32(1))
            value = T.Cast("int32", window[s * self.stride + word * WORD + lane])
            store(state, 1, state[1] + is_set * value)


class _Helium(_Loops):
    """Sums of 16 bytes under a predicate."""

    def fill(self, data: Any, window: Any, p: Any) -> None:
        """Copy 16 bytes at a time; the rest of a run stays zero."""
        shape = self.shape
        with T.serial(shape.taps) as k:
            t, inside = shape.place(p, k)
            if inside is None:
                self._copy(data, window, k, t)
                return
            with T.If(inside):
                with T.Then():
                    self._copy(data, window, k, t)
                with T.Else():
                    self._copy(None, window, k, t)

    def _copy(self, data: Any, window: Any, k: Any, t: Any) -> None:
        c_in = self.shape.c_in
        for begin in range(0, c_in, WORD):
            mask = helium.lanes_below(i32(min(WORD, c_in - begin)))
            if data is None:
                value = helium.splat(T.int8(self.layer.x.zero_point), WORD)
            else:
                at = ramp(t * c_in + begin, WORD)
                value = T.Bind(T.masked_load("int8x16", data, at, mask))
            T.evaluate(T.masked_store(window, value, ramp(self.place(k, begin), WORD), mask))

    def total(self, window: Any, s: Any, state: Any) -> None:
        """Put the sum of a segment into state[0]; what lies behind it is zero."""
        parts = [
            helium.sum_bytes(window[ramp(s * self.stride + word * WORD, WORD)])
            for word in range(self.planes.words)
        ]
        store(state, 0, sum(parts[1:], parts[0]))

    def plane(self, window: Any, s: Any, bits: Any, entry: Any, state: Any) -> None:
        """Put the sum of a segment under an entry's bits into state[1]."""
        words = self.planes.words
        parts = [
            helium.sum_bytes_where(
                window[ramp(s * self.stride + word * WORD, WORD)],
                T.Cast("int32", bits[entry * words + word]),
            )
            for word in range(words)
        ]
        store(state, 1, sum(parts[1:], parts[0]))
