"""Depthwise int8 convolution and the max pooling after it, for Helium.

As `depthwise_mve`, but the positions that share samples are the windows of the pooling, whose sums
are pooled before they are requantized.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from ecgexp.deploy.kernels import helium
from ecgexp.deploy.kernels.conv_shape import ConvShape
from ecgexp.deploy.kernels.depthwise_mve import LANES, QUAD, Loops, Plan, pack, shares
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
from ecgexp.deploy.kernels.window import Window

_UNROLLED_TAPS = 4


def build(shape: ConvShape, layer: Integers, window: Window) -> Kernel | None:
    """Build the kernel, or return None where the two operators are better left apart.

    Arguments as for `depthwise_mve.build`, and the windows of the pooling. Apart stay windows that
    overlap or are long, and those whose positions cannot share one vector of samples.
    """
    plan = Plan.options(shape)[0]
    fitting = (LANES - shape.kernel) // plan.shift + 1
    fits = window.kernel <= min(fitting, _UNROLLED_TAPS)
    if not shape.is_flat or plan.spacing > 1 or not fits or window.stride < window.kernel:
        return None
    counts = shares(window.length_out, (fitting - window.kernel) // window.stride + 1)
    builds = {
        f"turned{together}": partial(_build, shape, layer, window, plan.shift, together)
        for together in counts
    }
    name = f"depthwise_{shape.kind}_int8_{shape.label}_max{window.label}{layer.suffix}"
    return with_variants(name, f"turned{counts[0]}", builds)


def _build(shape: ConvShape, layer: Integers, window: Window, shift: int, together: int) -> Kernel:
    loops = _PooledLoops(shape, shift, layer, window, together)
    constants = pack(shape, layer)
    parameters = [
        Parameter("data", shape.size, "int8"),
        *constant_parameters(constants),
        Parameter("out", window.length_out * shape.c_out, "int8"),
    ]
    name = f"depthwise_{shape.kind}_int8_{shape.label}_max{window.kernel}"
    return Kernel(name, prim_func(name, parameters, loops.body), constants, shape.macs)


class _PooledLoops(Loops):
    """Emits the loops of one convolution and pooling; `together` windows share samples."""

    def __init__(
        self, shape: ConvShape, shift: int, layer: Integers, window: Window, together: int
    ) -> None:
        positions = (together - 1) * window.stride + window.kernel
        super().__init__(shape, Plan(1, shift, positions), layer)
        self.window, self.together = window, together
        self.first: Any = None

    def positions(self, row: Any) -> None:
        """Emit all windows."""
        self.row = row
        count = self.window.length_out
        groups, rest = divmod(count, self.together)
        last = i32(count - self.together)
        # The last group overlaps the one before it instead of leaving a remainder. It has code of
        # its own only where windows reach over the end, which the others then need not check.
        alone = rest > 0 and any(self.window.pads)
        with T.serial(groups + (rest > 0 and not alone)) as i:
            first = i * self.together
            self._windows(T.Bind(T.min(first, last)) if rest and not alone else first)
        if alone:
            self._windows(last)

    def _windows(self, first: Any) -> None:
        self.first = first
        self.channels(T.Bind(first * self.window.stride - i32(self.window.pads[0])))

    def quad(self, p: Any, channel: Any, quad: Any, width: int) -> None:
        """Emit four channels of all windows that share samples."""
        samples = [T.Bind(self.scratch[ramp((quad + m) * LANES, LANES)]) for m in range(width)]
        at, every = channel + quad, ramp(i32(0), QUAD)
        bias = T.Bind(self.biases[ramp(at, QUAD)])
        scale = T.Bind(self.scales[ramp(at, QUAD)])
        with T.serial(self.together) as j:
            best = local(QUAD, "int32")
            for k in range(self.window.kernel):
                acc = local(QUAD, "int32")
                shift = self._offset(p, j, k) * self.plan.shift
                for m in range(QUAD):
                    if m < width:
                        tap = i32(LANES) + (at + m) * LANES - shift
                        dot = helium.dot(i32(0), samples[m], self.weights[ramp(tap, LANES)])
                    store(acc, m, dot if m < width else i32(0))
                store(best, every, acc[every] if k == 0 else T.max(best[every], acc[every]))
            values = helium.requantize(best[every] + bias, scale, self.layer.y, self.layer.limits)
            position = self.first + j
            helium.store_lanes(self.out, position * self.shape.c_out + at, values, width)

    def _offset(self, p: Any, j: Any, k: int) -> Any:
        """Return how far from p tap k of window j lies; taps outside repeat a tap inside."""
        before, after = self.window.pads
        offset = j * self.window.stride + k
        if k >= self.window.kernel - after:
            offset = T.min(offset, i32(self.shape.length_out - 1) - p)
        if k < before:
            offset = T.max(offset, i32(0) - p)
        return T.Bind(offset)
