"""float32 depthwise convolution for Helium: lanes along channels."""

from __future__ import annotations

from typing import Any

import numpy as np

from ecgexp.deploy.kernels.conv1d_float_mve import clamp_vector, each_tile, interior, tap_range
from ecgexp.deploy.kernels.conv_shape import ConvShape
from ecgexp.deploy.kernels.ir import (
    Parameter,
    T,
    clamp_float,
    constant_parameters,
    i32,
    local,
    prim_func,
    ramp,
    store,
)
from ecgexp.deploy.kernels.kernel import Clamp, Kernel

Array = np.ndarray[Any, Any]
_LANES = 4
_POSITIONS = 4
_UNROLLED_TAPS = 16


def build(shape: ConvShape, taps: Array, bias: Array, clamp: Clamp | None) -> Kernel:
    """Build the kernel.

    Args:
        shape: Geometry with `groups == c_in == c_out`.
        taps: (kernel * channel,) float32, tap by tap.
        bias: (channel,) float32.
        clamp: Fused activation range.
    """
    loops = _Loops(shape, clamp)
    constants = (taps, bias)
    parameters = [
        Parameter("data", shape.length * shape.c_in, "float32"),
        *constant_parameters(constants),
        Parameter("out", shape.length_out * shape.c_out, "float32"),
    ]
    name = f"depthwise_conv1d_float32_{shape.label}"
    return Kernel(name, prim_func(name, parameters, loops.body), constants, shape.macs)


class _Loops:
    """Emits the loops of one float32 depthwise convolution."""

    def __init__(self, shape: ConvShape, clamp: Clamp | None) -> None:
        self.shape, self.clamp = shape, clamp
        self.first, self.last = interior(shape)
        self.data: Any = None
        self.weights: Any = None
        self.biases: Any = None
        self.out: Any = None

    def body(self, data: Any, weights: Any, biases: Any, out: Any) -> None:
        """Emit the whole kernel."""
        self.data, self.weights, self.biases, self.out = data, weights, biases, out
        full, rest = divmod(self.shape.c_out, _LANES)
        if full:
            with T.serial(full) as block:
                self._positions(block * _LANES, _LANES)
        if rest:
            with T.serial(rest) as i:
                self._positions(i + i32(full * _LANES), 1)

    def _positions(self, channel: Any, lanes: int) -> None:
        shape, inside = self.shape, self.last - self.first
        step = min(_POSITIONS, inside)
        if inside:
            taps = (i32(0), i32(shape.kernel))
            each_tile(
                self.first, self.last, step, lambda p: self._tile(p, channel, lanes, taps, False)
            )
        if shape.length_out > inside:
            with T.serial(shape.length_out - inside) as i:
                p = T.if_then_else(i < self.first, i, i + i32(inside)) if inside else i
                self._tile([p], channel, lanes, tap_range(shape, p), True)

    def _tile(
        self,
        positions: list[Any],
        channel: Any,
        lanes: int,
        taps: tuple[Any, Any],
        border: bool,
    ) -> None:
        shape = self.shape
        acc = local(len(positions) * lanes, "float32")

        def at(base: Any) -> Any:
            return ramp(base, lanes) if lanes > 1 else base

        for j in range(len(positions)):
            store(acc, at(i32(j * lanes)), self.biases[at(channel)])
        start = T.Bind(positions[0] * i32(shape.stride) - i32(shape.pads[0]))

        def load(t: Any) -> Any:
            return self.data[at(t * shape.c_in + channel)]

        def add(j: int, value: Any, weight: Any) -> None:
            slot = at(i32(j * lanes))
            store(acc, slot, acc[slot] + value * weight)

        first, end = taps
        if border or shape.kernel > _UNROLLED_TAPS:
            with T.serial(end - first) as i:
                k = i + first
                weight = self.weights[at(k * shape.c_out + channel)]
                for j in range(len(positions)):
                    t = start + i32(j * shape.stride) + k * i32(shape.dilation)
                    add(j, load(t), weight)
        else:
            samples: dict[int, Any] = {}
            for k in range(shape.kernel):
                weight = T.Bind(self.weights[at(i32(k * shape.c_out) + channel)])
                for j in range(len(positions)):
                    t = j * shape.stride + k * shape.dilation
                    if t not in samples:
                        samples[t] = T.Bind(load(start + i32(t)))
                    add(j, samples[t], weight)
        for j, p in enumerate(positions):
            value = acc[at(i32(j * lanes))]
            value = clamp_vector(value, self.clamp) if lanes > 1 else clamp_float(value, self.clamp)
            store(self.out, at(p * shape.c_out + channel), value)
