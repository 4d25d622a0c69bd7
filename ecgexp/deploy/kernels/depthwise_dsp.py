"""Depthwise int8 convolution for the DSP extension: four channels of two positions at a time.

A word holds the same sample of four channels. Widened to pairs, each half is multiplied into the
sum of its own channel. Samples outside the input are words of the zero point.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ecgexp.deploy.kernels import dsp
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
from ecgexp.deploy.kernels.kernel import Kernel, QParams

Array = np.ndarray[Any, Any]
_POSITIONS = 2
_UNROLLED_TAPS = 12


def fits(shape: ConvShape) -> bool:
    """Return whether the kernel computes this convolution: four channels make a word."""
    return shape.c_out >= dsp.WORD and shape.is_flat


def build(
    shape: ConvShape,
    constants: tuple[Array, ...],
    *,
    x: QParams,
    y: QParams,
    limits: tuple[int, int],
) -> Kernel:
    """Build the kernel.

    Args:
        shape: Geometry with `groups == c_in == c_out`.
        constants: (tap, channel) int8 weights, int32 bias with the input's zero point folded in,
            float32 requantization multipliers.
        x: Quantization of the input.
        y: Quantization of the output.
        limits: Smallest and largest output.
    """
    first, stop = _inner_positions(shape)
    pairs, rest = divmod(stop - first, _POSITIONS)
    edges = (*range(first), *range(stop - rest, shape.length_out))

    def body(data: Any, weights: Any, biases: Any, scales: Any, out: Any) -> None:
        buffers = (data, weights, biases, scales, out)

        def channels(c: Any) -> None:
            for begin, end in _ranges(edges):
                with T.serial(end - begin) as p:
                    _tile(shape, buffers, (begin + p, c), 1, x, y, limits)
            if pairs > 0:
                with T.serial(pairs) as p:
                    _tile(shape, buffers, (first + p * _POSITIONS, c), _POSITIONS, None, y, limits)

        with T.serial(shape.c_out // dsp.WORD) as quad:
            channels(quad * dsp.WORD)
        if shape.c_out % dsp.WORD:
            # Computes some channels a second time.
            channels(i32(shape.c_out - dsp.WORD))

    name = f"depthwise_conv1d_int8_{shape.label}"
    parameters = [
        Parameter("data", shape.length * shape.c_in, "int8"),
        *constant_parameters(constants),
        Parameter("out", shape.length_out * shape.c_out, "int8"),
    ]
    return Kernel(name, prim_func(name, parameters, body), constants, shape.macs)


def _inner_positions(shape: ConvShape) -> tuple[int, int]:
    """Return the range of positions whose taps all lie inside the input."""
    first = -(-shape.pads[0] // shape.stride)
    room = shape.length - 1 - (shape.kernel - 1) * shape.dilation + shape.pads[0]
    stop = min(shape.length_out, room // shape.stride + 1)
    return (first, stop) if stop > first else (0, 0)


def _ranges(positions: tuple[int, ...]) -> list[tuple[int, int]]:
    """Join neighbouring positions."""
    ranges: list[tuple[int, int]] = []
    for p in positions:
        if ranges and ranges[-1][1] == p:
            ranges[-1] = (ranges[-1][0], p + 1)
        else:
            ranges.append((p, p + 1))
    return ranges


def _tile(
    shape: ConvShape,
    buffers: tuple[Any, ...],
    place: tuple[Any, Any],
    positions: int,
    padding: QParams | None,
    y: QParams,
    limits: tuple[int, int],
) -> None:
    """Compute four channels; `padding` is None where every tap lies inside the input."""
    data, weights, biases, scales, out = buffers
    p, c = place
    acc = local(positions * dsp.WORD, "int32")
    for a in range(positions):
        for channel in range(dsp.WORD):
            store(acc, a * dsp.WORD + channel, biases[c + channel])

    def sample(a: int, k: Any) -> Any:
        t = (p + a) * shape.stride + k * shape.dilation - shape.pads[0]
        if padding is None:
            return dsp.word(data, t * shape.c_in + c)
        nearest = T.min(T.max(t, 0), shape.length - 1)
        filling = int(np.full(dsp.WORD, padding.zero_point, np.int8).view(np.int32)[0])
        inside = T.And(t >= 0, t < shape.length)
        return T.Bind(T.Select(inside, dsp.word(data, nearest * shape.c_in + c), i32(filling)))

    def add_tap(k: Any) -> None:
        w = dsp.word(weights, k * shape.c_out + c)
        w_even, w_odd = dsp.even_bytes(w), dsp.odd_bytes(w)
        for a in range(positions):
            value = sample(a, k)
            even, odd = dsp.even_bytes(value), dsp.odd_bytes(value)
            for channel, multiply, x_pair, w_pair in (
                (0, dsp.multiply_low, even, w_even),
                (1, dsp.multiply_low, odd, w_odd),
                (2, dsp.multiply_high, even, w_even),
                (3, dsp.multiply_high, odd, w_odd),
            ):
                index = a * dsp.WORD + channel
                store(acc, index, multiply(acc[index], x_pair, w_pair))

    if shape.kernel <= _UNROLLED_TAPS and padding is None:
        for k in range(shape.kernel):
            add_tap(k)
    else:
        with T.serial(shape.kernel) as k:
            add_tap(k)
    for a in range(positions):
        for channel in range(dsp.WORD):
            value = dsp.requantize(acc[a * dsp.WORD + channel], scales[c + channel], y, limits)
            store(out, (p + a) * shape.c_out + c + channel, value)
