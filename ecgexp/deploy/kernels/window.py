"""The windows of a pooling."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ecgexp.deploy.kernels.conv_shape import ONE_ROW, Axis, place
from ecgexp.deploy.kernels.ir import Parameter, T, i32, local, store

LOWEST = -(2**31)


class Window:
    """Where the windows of a pooling lie: over time, or over rows of samples."""

    def __init__(
        self,
        length: int,
        channels: int,
        kernel: int,
        stride: int,
        pads: tuple[int, int],
        rows: Axis = ONE_ROW,
    ) -> None:
        self.length, self.channels = length, channels
        self.kernel, self.stride, self.pads = kernel, stride, pads
        self.rows = rows
        self.axis = Axis(length=length, kernel=kernel, stride=stride, dilation=1, pads=pads)
        self.length_out = self.axis.length_out

    @property
    def is_flat(self) -> bool:
        """Whether there is but one row."""
        return self.rows == ONE_ROW

    @property
    def is_padded(self) -> bool:
        """Whether a window may reach over the input."""
        return any(self.pads) or any(self.rows.pads)

    @property
    def positions(self) -> int:
        """Windows of all rows."""
        return self.rows.length_out * self.length_out

    @property
    def taps(self) -> int:
        """Samples of a window, row by row."""
        return self.rows.kernel * self.kernel

    @property
    def label(self) -> str:
        """Part of a kernel name."""
        pads, r = f"p{self.pads[0]}_{self.pads[1]}", self.rows
        rows = f"h{r.length}k{r.kernel}s{r.stride}p{r.pads[0]}_{r.pads[1]}"
        return ("" if self.is_flat else rows) + (
            f"l{self.length}c{self.channels}k{self.kernel}s{self.stride}{pads}"
        )

    def parameters(self, dtype: str) -> list[Parameter]:
        """Describe the input and output buffers."""
        return [
            Parameter("data", self.rows.length * self.length * self.channels, dtype),
            Parameter("out", self.positions * self.channels, dtype),
        ]

    def load(self, data: Any, p: Any, k: Any, c: Any, padding: Any) -> Any:
        """Load tap k of position p; taps in the padding read as `padding`."""
        t, inside = place(self.axis, self.rows, p, k)
        value = data[t * self.channels + c]
        return value if inside is None else T.if_then_else(inside, value, padding)

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
        if self.is_flat:
            return _count(self.axis, p, count_include_pad)
        row, column = T.floordiv(p, self.length_out), T.floormod(p, self.length_out)
        columns = _count(self.axis, column, count_include_pad)
        return _count(self.rows, row, count_include_pad) * columns

    def stretches(self) -> list[tuple[int, int, bool]]:
        """Divide the positions into [first, end) and whether padding is in sight there."""
        first = min(-(-self.pads[0] // self.stride), self.length_out)
        end = (self.length + self.pads[0] - self.kernel) // self.stride + 1
        end = min(max(end, first), self.length_out)
        parts = [(0, first, True), (first, end, False), (end, self.length_out, True)]
        return [part for part in parts if part[1] > part[0]]


def _count(axis: Axis, p: Any, count_include_pad: bool) -> Any:
    """Return how many taps of position p count, along one axis."""
    start = p * axis.stride - axis.pads[0]
    if count_include_pad:
        return T.min(i32(axis.kernel), i32(axis.length + axis.pads[1]) - start)
    end = T.min(start + axis.kernel, i32(axis.length))
    return end - T.max(start, i32(0))
