"""The windows of a pooling over time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ecgexp.deploy.kernels.ir import Parameter, T, i32, local, store

LOWEST = -(2**31)


class Window:
    """Where the windows of a pooling lie."""

    def __init__(
        self, length: int, channels: int, kernel: int, stride: int, pads: tuple[int, int]
    ) -> None:
        self.length, self.channels = length, channels
        self.kernel, self.stride, self.pads = kernel, stride, pads
        self.length_out = (length + sum(pads) - kernel) // stride + 1

    @property
    def label(self) -> str:
        """Part of a kernel name."""
        pads = f"p{self.pads[0]}_{self.pads[1]}"
        return f"l{self.length}c{self.channels}k{self.kernel}s{self.stride}{pads}"

    def parameters(self, dtype: str) -> list[Parameter]:
        """Describe the input and output buffers."""
        return [
            Parameter("data", self.length * self.channels, dtype),
            Parameter("out", self.length_out * self.channels, dtype),
        ]

    def index(self, p: Any, k: Any, c: Any) -> Any:
        """Return the input index of tap k at position p."""
        return (p * self.stride + k - self.pads[0]) * self.channels + c

    def inside(self, p: Any, k: Any) -> Any:
        """Tell whether tap k of position p lies inside the input."""
        t = p * self.stride + k - self.pads[0]
        return T.And(t >= 0, t < self.length)

    def load(self, data: Any, p: Any, k: Any, c: Any, padding: Any) -> Any:
        """Load tap k of position p; taps in the padding read as `padding`."""
        value = data[self.index(p, k, c)]
        return T.if_then_else(self.inside(p, k), value, padding) if any(self.pads) else value

    def maximum(self, p: Any, accumulate: Callable[[Any], None], acc: Any) -> Any:
        """Emit the largest sum of window p and return its place.

        Args:
            p: Position of the window.
            accumulate: Emits the sum of one position into `acc`.
            acc: int32 (1,).
        """
        best = local(1, "int32")
        store(best, 0, i32(LOWEST))
        with T.serial(self.kernel) as k:
            t = p * self.stride + k - self.pads[0]
            # Taps outside repeat a tap inside, which does not change a maximum.
            t = T.min(T.max(t, i32(0)), i32(self.length - 1)) if any(self.pads) else t
            accumulate(t)
            store(best, 0, T.max(best[0], acc[0]))
        return best

    def count(self, p: Any, count_include_pad: bool) -> Any:
        """Return the divisor of position p as an int32 expression."""
        start = p * self.stride - self.pads[0]
        if count_include_pad:
            return T.min(i32(self.kernel), i32(self.length + self.pads[1]) - start)
        end = T.min(start + self.kernel, i32(self.length))
        return end - T.max(start, i32(0))

    def stretches(self) -> list[tuple[int, int, bool]]:
        """Divide the positions into [first, end) and whether padding is in sight there."""
        first = min(-(-self.pads[0] // self.stride), self.length_out)
        end = (self.length + self.pads[0] - self.kernel) // self.stride + 1
        end = min(max(end, first), self.length_out)
        parts = [(0, first, True), (first, end, False), (end, self.length_out, True)]
        return [part for part in parts if part[1] > part[0]]
