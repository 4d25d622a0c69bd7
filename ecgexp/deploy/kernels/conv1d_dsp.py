"""Dense int8 convolution for the DSP extension: two products per instruction.

The window of a position is one run of bytes, or one per tap where taps are dilated. It is read in
words of four bytes; a tile of two positions by two channels uses each widened word twice. Weights
lie as (c_out, run, byte), the ends of runs filled with zeros. Positions whose words would leave the
input are computed byte by byte.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ecgexp.deploy.kernels import dsp
from ecgexp.deploy.kernels.conv_shape import ConvShape
from ecgexp.deploy.kernels.ir import Parameter, T, constant_parameters, local, prim_func, store
from ecgexp.deploy.kernels.kernel import Kernel, QParams

Array = np.ndarray[Any, Any]
_TILE = 2
_UNROLLED_WORDS = 4


def fits(shape: ConvShape) -> bool:
    """Return whether the kernel computes this convolution: groups need plain loops."""
    return shape.groups == 1 and shape.is_flat


@dataclass(frozen=True)
class _Runs:
    """A window as runs of words.

    Attributes:
        count: Runs in a window.
        step: Input bytes between the starts of two runs.
        words: Words of a run, the last one perhaps partly behind its end.
    """

    count: int
    step: int
    words: int

    @classmethod
    def of(cls, shape: ConvShape) -> _Runs:
        if shape.dilation == 1:
            return cls(1, 0, -(-shape.kernel * shape.c_in // dsp.WORD))
        return cls(shape.kernel, shape.dilation * shape.c_in, -(-shape.c_in // dsp.WORD))

    @property
    def weight_bytes(self) -> int:
        """Bytes of weights per output channel, the filling included."""
        return self.count * self.words * dsp.WORD

    @property
    def reach(self) -> int:
        """Input bytes from the start of a window to the end of its last word."""
        return (self.count - 1) * self.step + self.words * dsp.WORD


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
        shape: Geometry with one group.
        weight: (c_out, c_in, kernel) int8.
        bias: (c_out,) int32 with the input's zero point folded in.
        scale: (c_out,) float32 requantization multipliers.
        x: Quantization of the input.
        y: Quantization of the output.
        limits: Smallest and largest output.
    """
    runs = _Runs.of(shape)
    constants = (_arrange(weight, runs), bias, scale)
    first, stop = _inner_positions(shape, runs)

    def body(data: Any, weights: Any, biases: Any, scales: Any, out: Any) -> None:
        buffers = (data, weights, biases, scales, out)
        for begin, end in ((0, first), (stop, shape.length_out)):
            if end > begin:
                with T.grid(end - begin, shape.c_out) as (p, c):
                    _edge(shape, runs, buffers, begin + p, c, x, y, limits)
        for channels, c_first, c_count in _steps(0, shape.c_out):
            with T.serial(c_count) as c:
                for positions, p_first, p_count in _steps(first, stop):
                    with T.serial(p_count) as p:
                        place = (p_first + p * positions, c_first + c * channels)
                        tile = (positions, channels)
                        _tile(shape, runs, buffers, place, tile, y, limits)

    name = f"conv1d_int8_{shape.label}"
    parameters = [
        Parameter("data", shape.length * shape.c_in, "int8"),
        *constant_parameters(constants),
        Parameter("out", shape.length_out * shape.c_out, "int8"),
    ]
    return Kernel(name, prim_func(name, parameters, body), constants, shape.macs)


def _arrange(weight: Array, runs: _Runs) -> Array:
    rows = weight.transpose(0, 2, 1).reshape(len(weight), runs.count, -1)
    filling = runs.words * dsp.WORD - rows.shape[2]
    arranged: Array = np.pad(rows, ((0, 0), (0, 0), (0, filling))).reshape(-1)
    return arranged


def _inner_positions(shape: ConvShape, runs: _Runs) -> tuple[int, int]:
    """Return the range of positions whose words all lie inside the input."""
    first = -(-shape.pads[0] // shape.stride)
    room = shape.length * shape.c_in - runs.reach
    last = (room // shape.c_in + shape.pads[0]) // shape.stride if room >= 0 else -1
    stop = min(shape.length_out, last + 1)
    return (first, stop) if stop > first else (0, 0)


def _steps(begin: int, end: int) -> list[tuple[int, int, int]]:
    """Divide a range into whole tiles and a rest: size, first, number."""
    whole, rest = divmod(end - begin, _TILE)
    steps = [(_TILE, begin, whole), (rest, end - rest, 1)]
    return [step for step in steps if step[0] and step[2] > 0]


def _tile(
    shape: ConvShape,
    runs: _Runs,
    buffers: tuple[Any, ...],
    place: tuple[Any, Any],
    tile: tuple[int, int],
    y: QParams,
    limits: tuple[int, int],
) -> None:
    data, weights, biases, scales, out = buffers
    p, c = place
    acc = local(tile[0] * tile[1], "int32")
    for b in range(tile[1]):
        for a in range(tile[0]):
            store(acc, a * tile[1] + b, biases[c + b])
    start = (p * shape.stride - shape.pads[0]) * shape.c_in

    def add_word(data_at: Any, weight_at: Any) -> None:
        step = shape.stride * shape.c_in
        xs = [dsp.word(data, start + data_at + a * step) for a in range(tile[0])]
        pairs = [(dsp.even_bytes(value), dsp.odd_bytes(value)) for value in xs]
        for b in range(tile[1]):
            w = dsp.word(weights, (c + b) * runs.weight_bytes + weight_at)
            even, odd = dsp.even_bytes(w), dsp.odd_bytes(w)
            for a, (x_even, x_odd) in enumerate(pairs):
                index = a * tile[1] + b
                store(acc, index, dsp.dot_pairs(acc[index], x_even, even))
                store(acc, index, dsp.dot_pairs(acc[index], x_odd, odd))

    with T.serial(runs.count) as run:
        at = run * runs.words * dsp.WORD
        whole, rest = divmod(runs.words, _UNROLLED_WORDS)
        if whole > 0:
            with T.serial(whole) as block:
                for i in range(_UNROLLED_WORDS):
                    offset = (block * _UNROLLED_WORDS + i) * dsp.WORD
                    add_word(run * runs.step + offset, at + offset)
        for i in range(rest):
            offset = (whole * _UNROLLED_WORDS + i) * dsp.WORD
            add_word(run * runs.step + offset, at + offset)
    for a in range(tile[0]):
        for b in range(tile[1]):
            value = dsp.requantize(acc[a * tile[1] + b], scales[c + b], y, limits)
            store(out, (p + a) * shape.c_out + c + b, value)


def _edge(
    shape: ConvShape,
    runs: _Runs,
    buffers: tuple[Any, ...],
    p: Any,
    c: Any,
    x: QParams,
    y: QParams,
    limits: tuple[int, int],
) -> None:
    data, weights, biases, scales, out = buffers
    acc = local(1, "int32")
    store(acc, 0, biases[c])
    # Where a window is one run, its taps follow each other without filling.
    tap_bytes = shape.c_in if runs.count == 1 else runs.words * dsp.WORD
    with T.grid(shape.kernel, shape.c_in) as (k, i):
        t = p * shape.stride + k * shape.dilation - shape.pads[0]
        inside = T.And(t >= 0, t < shape.length)
        value = T.if_then_else(inside, data[t * shape.c_in + i], T.int8(x.zero_point))
        tap = weights[c * runs.weight_bytes + k * tap_bytes + i]
        store(acc, 0, acc[0] + T.Cast("int32", value) * T.Cast("int32", tap))
    store(out, p * shape.c_out + c, dsp.requantize(acc[0], scales[c], y, limits))
