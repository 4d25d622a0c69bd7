"""Dense and grouped int8 convolution and the max pooling after it, for Helium.

Requantization never turns a larger sum into a smaller code, so the sums are pooled and each maximum
is requantized once: bit-equal, without the tensor between the two.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Literal

from ecgexp.deploy.kernels import conv1d_mve, helium
from ecgexp.deploy.kernels.conv_schedule import Schedule, choose, schedules
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
from ecgexp.deploy.kernels.window import LOWEST, Window

_LANES = 4
_TOGETHER = 2
_UNROLLED_TAPS = 4
_UNROLLED_CHUNKS = 1
# Two positions by four channels at once, whatever the order.
_TILE: Literal["2x4"] = "2x4"


def build(shape: ConvShape, layer: Integers, window: Window) -> Kernel | None:
    """Build the kernel, or return None where the two operators are better left apart.

    Arguments as for `conv1d_mve.build`, and the windows of the pooling. Apart stay windows that
    overlap, which would compute sums twice, and convolutions in 4 x 2 tiles, which share more loads
    than pooling saves: measured, joining them in 2 x 4 tiles takes 4 to 29 % more instructions.
    """
    rule = choose(shape)
    tile = _PooledTile(shape, layer, rule, window)
    if window.stride < window.kernel or tile.columns_pay(tile.last - tile.first):
        return None
    orders = [each for each in schedules(shape) if each.tile == _TILE]
    builds = {each.name: partial(_build, shape, layer, window, each) for each in orders}
    layer_name = f"conv1d_{layer.dtype}_{shape.label}_max{window.label}{layer.suffix}"
    return with_variants(layer_name, Schedule(_TILE, rule.order).name, builds)


def _build(shape: ConvShape, layer: Integers, window: Window, schedule: Schedule) -> Kernel:
    tile = _PooledTile(shape, layer, schedule, window)
    constants = conv1d_mve.pack(shape, layer, schedule)
    parameters = [
        Parameter("data", shape.length * shape.c_in, "int8"),
        *constant_parameters(constants),
        Parameter("out", window.length_out * shape.c_out, "int8"),
    ]
    name = f"conv1d_{layer.dtype}_{shape.label}_max{window.kernel}"
    return Kernel(name, prim_func(name, parameters, tile.body), constants, shape.macs)


class _PooledTile(conv1d_mve.Tile):
    """Emits the loops of one convolution and pooling; positions of the result are windows."""

    def __init__(
        self, shape: ConvShape, layer: Integers, schedule: Schedule, window: Window
    ) -> None:
        super().__init__(shape, layer, schedule)
        self.window = window

    def body(self, data: Any, weights: Any, biases: Any, scales: Any, out: Any) -> None:
        """Emit the whole kernel."""
        self.bind(data, weights, biases, scales, out)
        first, end = self._windows_inside()
        outside = self.window.length_out - (end - first)
        with T.serial(self.shape.groups) as group:
            if end > first:
                self.each_block(lambda *block: self._inside(first, end - first, group, *block))
            if outside:
                self.each_block(lambda *block: self._border(first, end, group, *block))

    def _windows_inside(self) -> tuple[int, int]:
        """Return the windows [first, end) whose positions read no padding."""
        window = self.window
        first = -(-(self.first + window.pads[0]) // window.stride)
        end = (self.last - window.kernel + window.pads[0]) // window.stride + 1
        end = min(end, window.length_out)
        return (first, end) if end > first else (0, 0)

    def _start(self, q: Any) -> Any:
        return q * self.window.stride - i32(self.window.pads[0])

    def _inside(self, first: int, count: int, group: Any, block: Any, width: int) -> None:
        taps, every = self.window.kernel, ramp(i32(0), _LANES)
        with T.serial(count) as i:
            q = i + i32(first)
            best = local(_LANES, "int32")
            if taps <= _UNROLLED_TAPS and len(self.plan.chunks) <= _UNROLLED_CHUNKS:
                maxima = [self._maximum(q, k, group, block) for k in range(0, taps, _TOGETHER)]
                store(best, every, maxima[0])
                for value in maxima[1:]:
                    store(best, every, T.max(best[every], value))
            else:
                store(best, every, helium.splat(i32(LOWEST), _LANES))
                # Known to LLVM, the trip count would be unrolled and the weights of all tiles kept
                # in registers that are not there.
                with T.serial(helium.opaque(i32(taps // _TOGETHER))) as loop:
                    value = self._maximum(q, loop * _TOGETHER, group, block)
                    store(best, every, T.max(best[every], value))
                if taps % _TOGETHER:
                    value = self._maximum(q, taps - 1, group, block)
                    store(best, every, T.max(best[every], value))
            self.store_row(best[every], q, group, block, width)

    def _maximum(self, q: Any, tap: Any, group: Any, block: Any) -> Any:
        """Return the larger sums of two positions of a window, or the sums of its last one."""
        alone = isinstance(tap, int) and tap + 1 == self.window.kernel
        position = self._start(q) + tap
        positions = [position] if alone else [position, position + 1]
        acc = self.row_sums(positions, group, block, False)
        sums = [acc[ramp(j * _LANES, _LANES)] for j in range(len(positions))]
        return T.Bind(sums[0] if alone else T.max(*sums))

    def _border(self, first: int, end: int, group: Any, block: Any, width: int) -> None:
        """Emit the windows whose positions read padding; taps outside repeat a tap inside."""
        inside, every = end - first, ramp(i32(0), _LANES)
        with T.serial(self.window.length_out - inside) as i:
            q = T.if_then_else(i < first, i, i + i32(inside)) if inside else i
            best = local(_LANES, "int32")
            store(best, every, helium.splat(i32(LOWEST), _LANES))
            with T.serial(self.window.kernel) as k:
                last = i32(self.shape.length_out - 1)
                p = T.Bind(T.min(T.max(self._start(q) + k, i32(0)), last))
                acc = self.row_sums([p], group, block, True)
                store(best, every, T.max(best[every], acc[every]))
            self.store_row(best[every], q, group, block, width)
