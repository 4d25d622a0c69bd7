"""float32 depthwise convolution for Helium: lanes along channels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ecgexp.deploy.kernels.conv1d_float_mve import clamp_vector, each_tile, tap_range
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
    loops = Loops(shape, clamp)
    constants = (taps, bias)
    parameters = [
        Parameter("data", shape.size, "float32"),
        *constant_parameters(constants),
        Parameter("out", shape.positions * shape.c_out, "float32"),
    ]
    name = f"depthwise_{shape.kind}_float32_{shape.label}"
    return Kernel(name, prim_func(name, parameters, loops.body), constants, shape.macs)


class Loops:
    """Emits the loops of one float32 depthwise convolution."""

    accumulator = "float32"

    def __init__(self, shape: ConvShape, clamp: Clamp | None) -> None:
        self.shape, self.clamp = shape, clamp
        self.first, self.last = shape.interior
        self.row: Any = None
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
        if rest and full:
            # One more vector, overlapping the one before, instead of single channels.
            self._positions(i32(self.shape.c_out - _LANES), _LANES)
        elif rest:
            with T.serial(rest) as i:
                self._positions(i, 1)

    def _positions(self, channel: Any, lanes: int) -> None:
        rows = self.shape.rows.length_out
        if rows == 1:
            self._row(channel, lanes, i32(0))
        else:
            with T.serial(rows) as row:
                self._row(channel, lanes, row)

    def _row(self, channel: Any, lanes: int, row: Any) -> None:
        self.row = row
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
        acc = local(len(positions) * lanes, self.accumulator)

        def at(base: Any) -> Any:
            return ramp(base, lanes) if lanes > 1 else base

        for j in range(len(positions)):
            store(acc, at(i32(j * lanes)), self.biases[at(channel)])
        start = T.Bind(positions[0] * i32(shape.stride) - i32(shape.pads[0]))

        def add(j: int, value: Any, weight: Any) -> None:
            slot = at(i32(j * lanes))
            store(acc, slot, acc[slot] + value * weight)

        if shape.is_flat:
            self._row_taps(start * shape.c_in + channel, channel, positions, taps, border, at, add)
        else:
            rows = shape.rows
            first, end = tap_range(rows, self.row) if any(rows.pads) else (i32(0), i32(rows.kernel))
            with T.serial(end - first) as i:
                k = i + first
                line = self.row * rows.stride + k * rows.dilation - i32(rows.pads[0])
                source = T.Bind(self.origin((line * shape.length + start) * shape.c_in + channel))
                weight = T.Bind(self.origin(k * (shape.kernel * shape.c_out) + channel))
                self._row_taps(source, weight, positions, taps, border, at, add)
        for j, p in enumerate(positions):
            value = self.finished(acc[at(i32(j * lanes))], channel, lanes)
            place = self.row * (shape.length_out * shape.c_out) + p * shape.c_out + channel
            store(self.out, at(place), value)

    def origin(self, index: Any) -> Any:
        """Return the index at which a row of a window or of its weights begins."""
        return index

    def sample(self, index: Any) -> Any:
        """Return one or several inputs."""
        return self.data[index]

    def weight(self, index: Any) -> Any:
        """Return one or several weights."""
        return self.weights[index]

    def finished(self, total: Any, channel: Any, lanes: int) -> Any:
        """Turn the sums of channels into outputs."""
        return clamp_vector(total, self.clamp) if lanes > 1 else clamp_float(total, self.clamp)

    def _row_taps(
        self,
        source: Any,
        first_weight: Any,
        positions: list[Any],
        taps: tuple[Any, Any],
        border: bool,
        at: Callable[[Any], Any],
        add: Callable[[int, Any, Any], None],
    ) -> None:
        """Add the taps of one row of a window, which starts at element `source`."""
        shape = self.shape

        def load(t: Any) -> Any:
            return self.sample(at(source + t * shape.c_in))

        first, end = taps
        if border or shape.kernel > _UNROLLED_TAPS:
            with T.serial(end - first) as i:
                k = i + first
                weight = self.weight(at(k * shape.c_out + first_weight))
                for j in range(len(positions)):
                    t = i32(j * shape.stride) + k * i32(shape.dilation)
                    add(j, load(t), weight)
        else:
            samples: dict[int, Any] = {}
            for k in range(shape.kernel):
                weight = T.Bind(self.weight(at(i32(k * shape.c_out) + first_weight)))
                for j in range(len(positions)):
                    t = j * shape.stride + k * shape.dilation
                    if t not in samples:
                        samples[t] = T.Bind(load(i32(t)))
                    add(j, samples[t], weight)
