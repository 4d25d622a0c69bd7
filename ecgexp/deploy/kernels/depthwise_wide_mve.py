"""Depthwise int8 convolution of windows too large for one vector, for Helium.

The loops of the float32 kernel, over int32 sums: lanes along channels, and taps in the padding are
left out, so that the zero point is taken off each sample instead of being folded into the bias.
"""

from __future__ import annotations

from typing import Any

from ecgexp.deploy.kernels import helium
from ecgexp.deploy.kernels.conv_shape import ConvShape
from ecgexp.deploy.kernels.depthwise_float_mve import Loops
from ecgexp.deploy.kernels.ir import Parameter, T, constant_parameters, i32, prim_func, ramp
from ecgexp.deploy.kernels.kernel import Kernel
from ecgexp.deploy.kernels.requant import requantize_scalar
from ecgexp.deploy.kernels.weights import Integers, by_tap


def build(shape: ConvShape, layer: Integers) -> Kernel:
    """Build the kernel.

    Args:
        shape: Geometry with `groups == c_in == c_out`.
        layer: Weights and the rest.
    """
    loops = _Loops(shape, layer)
    taps = by_tap(layer.weight)
    constants = (taps, layer.unfolded_bias, layer.scale)
    parameters = [
        Parameter("data", shape.size, "int8"),
        *constant_parameters(constants),
        Parameter("out", shape.positions * shape.c_out, "int8"),
    ]
    name = f"depthwise_{shape.kind}_int8_{shape.label}"

    def body(data: Any, weights: Any, biases: Any, scales: Any, out: Any) -> None:
        loops.scales = scales
        loops.body(data, weights, biases, out)

    return Kernel(name, prim_func(name, parameters, body), constants, shape.macs)


class _Loops(Loops):
    """Emits the loops of one int8 depthwise convolution."""

    accumulator = "int32"

    def __init__(self, shape: ConvShape, layer: Integers) -> None:
        super().__init__(shape, None)
        self.layer = layer
        self.scales: Any = None

    def origin(self, index: Any) -> Any:
        """Hide the index: LLVM would give every load of a row a pointer of its own."""
        return helium.opaque(index)

    def sample(self, index: Any) -> Any:
        """Return inputs less their zero point."""
        lanes, zero_point = _lanes(index), i32(self.layer.x.zero_point)
        zero_point = zero_point if lanes == 1 else helium.splat(zero_point, lanes)
        return _widened(self.data[index], index) - zero_point

    def weight(self, index: Any) -> Any:
        """Return weights."""
        return _widened(self.weights[index], index)

    def finished(self, total: Any, channel: Any, lanes: int) -> Any:
        """Requantize sums."""
        y, limits = self.layer.y, self.layer.limits
        if lanes == 1:
            return requantize_scalar(total, self.scales[channel], y, limits)
        return helium.requantize(total, self.scales[ramp(channel, lanes)], y, limits)


def _widened(value: Any, index: Any) -> Any:
    lanes = _lanes(index)
    return T.Cast("int32" if lanes == 1 else f"int32x{lanes}", value)


def _lanes(index: Any) -> int:
    """Return the lanes of an index; only vectors of indices are ramps."""
    return int(getattr(index, "lanes", 1))
