"""Convolution and dense layer whose int8 weights lie in flash as bit planes: sums of +-x.

For each position the window is copied to the stack, zero points where it leaves the input, so that
the segments of `Planes` are runs of bytes; every entry then adds a_i (2 P_i - S) to the sum of its
channel, and all channels are requantized as in any other int8 kernel. All of it is exact in int32,
so that the bytes are those of the ordinary kernel, whatever the order.

On Helium a word of 16 bits is the predicate under which 16 bytes are summed up (vaddvt), for four
positions at once.
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
from ecgexp.deploy.kernels.requant import requantize_scalar
from ecgexp.deploy.kernels.weights import Integers, Weights
from ecgexp.deploy.planes import WORD, Planes, find_planes


def build(*, isa: Isa, shape: ConvShape, weights: Weights) -> Kernel | None:
    """Build a layer out of bit planes.

    Args:
        isa: Instruction set to write for; `dsp` gets the plain loops.
        shape: Geometry; that of a dense layer has one position and one tap.
        weights: (c_out, c_in, ...taps) and the rest.

    Returns:
        None where the weights are no such sums, or int8 weights are hardly larger.
    """
    layer = weights.integers()
    if layer is None or shape.groups != 1:
        return None
    planes = find_planes(layer.weight)
    if planes is None:
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
    """Sums of 16 bytes under a predicate, of four positions at a time where there are as many."""

    def __init__(self, shape: ConvShape, layer: Integers, planes: Planes) -> None:
        super().__init__(shape, layer, planes)
        self.many = 4 if shape.positions >= 4 else 1
        self.window_bytes = planes.window_bytes

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
        """Emit the loops over blocks of positions; the last one may do some again."""
        shape, layer, planes, many = self.shape, self.layer, self.planes, self.many
        window = local(many * self.window_bytes, "int8")
        sums = local(many * shape.c_out, "int32")
        with T.serial(many * self.window_bytes // WORD) as j:
            store(window, ramp(j * WORD, WORD), helium.splat(T.int8(0), WORD))
        with T.serial(-(-shape.positions // many)) as block:
            p = T.Bind(T.min(block * many, i32(shape.positions - many)))
            self.fill(data, window, p)
            with T.serial(shape.c_out) as c:
                self._store(sums, c, self._lanes([biases[c]] * many))
            with T.serial(planes.segments) as s:
                total = T.Bind(self._lanes([self._sum(window, s, q) for q in range(many)]))
                begin = T.Bind(starts[s])
                with T.serial(starts[s + 1] - begin) as e:
                    self._add(window, s, bits, begin + e, (channel, coordinate), sums, total)
            with T.serial(shape.c_out) as c:
                at = p * shape.c_out + c
                if many == 1:
                    value = requantize_scalar(sums[c], scales[c], layer.y, layer.limits)
                    store(out, at, value)
                else:
                    steps = T.Cast("float32x4", sums[ramp(c * 4, 4)]) * helium.splat(scales[c], 4)
                    words = helium.quantize_words(steps, layer.y, layer.limits)
                    helium.scatter_words(out, at, shape.c_out, words)

    def _add(
        self,
        window: Any,
        s: Any,
        bits: Any,
        entry: Any,
        tables: tuple[Any, Any],
        sums: Any,
        total: Any,
    ) -> None:
        """Add an entry to the sums of its channel."""
        words = self.planes.words
        parts: list[Any] = [i32(0)] * self.many
        for word in range(words):
            mask = T.Bind(helium.mask_of(T.Cast("int32", bits[entry * words + word])))
            for q in range(self.many):
                lanes = window[ramp(q * self.window_bytes + s * self.stride + word * WORD, WORD)]
                parts[q] = T.Bind(parts[q] + helium.sum_bytes_where(lanes, mask))
        plane = T.Bind(self._lanes(parts))
        c = T.Bind(T.Cast("int32", tables[0][entry]))
        factor = T.Cast("int32", tables[1][entry])
        if self.many > 1:
            factor = helium.splat(factor, self.many)
        old = sums[c] if self.many == 1 else sums[ramp(c * self.many, self.many)]
        self._store(sums, c, old + factor * (plane + plane - total))

    def _lanes(self, values: list[Any]) -> Any:
        return values[0] if self.many == 1 else T.Shuffle(values, list(range(self.many)))

    def _store(self, sums: Any, c: Any, value: Any) -> None:
        store(sums, c if self.many == 1 else ramp(c * self.many, self.many), value)

    def _sum(self, window: Any, s: Any, q: int) -> Any:
        """Return the sum of a segment; what lies behind it is zero."""
        base = q * self.window_bytes + s * self.stride
        parts = [
            helium.sum_bytes(window[ramp(base + word * WORD, WORD)])
            for word in range(self.planes.words)
        ]
        return sum(parts[1:], parts[0])

    def fill(self, data: Any, window: Any, p: Any) -> None:
        """Copy 16 bytes at a time; the rest of a run stays zero."""
        with T.grid(self.many, self.shape.taps) as (q, k):
            t, inside = self.shape.place(p + q, k)
            at = T.Bind(q * self.window_bytes + self.place(k, 0))
            if inside is None:
                self._copy(data, window, at, t)
                return
            with T.If(inside):
                with T.Then():
                    self._copy(data, window, at, t)
                with T.Else():
                    self._copy(None, window, at, t)

    def _copy(self, data: Any, window: Any, at: Any, t: Any) -> None:
        c_in = self.shape.c_in
        for begin in range(0, c_in, WORD):
            mask = helium.lanes_below(i32(min(WORD, c_in - begin)))
            if data is None:
                value = helium.splat(T.int8(self.layer.x.zero_point), WORD)
            else:
                source = ramp(t * c_in + begin, WORD)
                value = T.Bind(T.masked_load("int8x16", data, source, mask))
            T.evaluate(T.masked_store(window, value, ramp(at + begin, WORD), mask))
