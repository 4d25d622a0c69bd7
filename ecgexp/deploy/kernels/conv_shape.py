"""The geometry of a convolution."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import reduce
from typing import Any

from ecgexp.deploy.kernels.ir import T
from ecgexp.errors import BuildError


@dataclass(frozen=True, kw_only=True)
class Axis:
    """How a window moves along one axis.

    Attributes:
        length: Input samples.
        kernel: Taps.
        stride: Samples between outputs.
        dilation: Samples between taps.
        pads: Padding samples before and after.
    """

    length: int
    kernel: int
    stride: int
    dilation: int
    pads: tuple[int, int]

    @property
    def length_out(self) -> int:
        """Output samples."""
        span = (self.kernel - 1) * self.dilation + 1
        return (self.length + sum(self.pads) - span) // self.stride + 1

    @property
    def interior(self) -> tuple[int, int]:
        """Positions [first, last) whose windows lie inside the input."""
        first = -(-self.pads[0] // self.stride)
        room = self.length - (self.kernel - 1) * self.dilation - 1
        last = min((room + self.pads[0]) // self.stride + 1, self.length_out)
        return (first, last) if last > first else (0, 0)

    def sample(self, p: Any, k: Any) -> tuple[Any, Any]:
        """Return the sample under tap k at position p, and whether it lies in the input.

        The condition is None where it always holds.
        """
        t = p * self.stride + k * self.dilation - self.pads[0]
        return t, T.And(t >= 0, t < self.length) if any(self.pads) else None


ONE_ROW = Axis(length=1, kernel=1, stride=1, dilation=1, pads=(0, 0))


@dataclass(frozen=True, kw_only=True)
class ConvShape(Axis):
    """The geometry of a convolution over samples of channels.

    One in two dimensions has rows of samples; its own fields then describe a row.

    Attributes:
        c_in: Input channels.
        c_out: Output channels.
        groups: Number of channel groups.
        rows: The slower axis; one row for a one-dimensional convolution.
    """

    c_in: int
    c_out: int
    groups: int
    rows: Axis = ONE_ROW

    def __post_init__(self) -> None:
        if self.c_in % self.groups or self.c_out % self.groups:
            raise BuildError(
                f"convolution: {self.c_in} -> {self.c_out} channels do not divide into "
                f"{self.groups} groups"
            )
        for axis in (self, self.rows):
            if axis.length_out < 1:
                raise BuildError(
                    f"convolution: kernel of {axis.kernel} with dilation {axis.dilation} is "
                    f"longer than {axis.length} samples padded by {axis.pads}"
                )

    @property
    def is_flat(self) -> bool:
        """Whether there is but one row."""
        return self.rows == ONE_ROW

    def flattened(self) -> ConvShape:
        """Return one row in place of many where no window looks beyond one sample."""
        if any(a.kernel * a.stride > 1 or any(a.pads) for a in (self, self.rows)):
            return self
        return replace(self, length=self.rows.length * self.length, rows=ONE_ROW)

    @property
    def size(self) -> int:
        """Elements of the input."""
        return self.rows.length * self.length * self.c_in

    @property
    def positions(self) -> int:
        """Output samples of all rows."""
        return self.rows.length_out * self.length_out

    @property
    def taps(self) -> int:
        """Taps of a window, row by row."""
        return self.rows.kernel * self.kernel

    @property
    def group_in(self) -> int:
        """Input channels of one group."""
        return self.c_in // self.groups

    @property
    def group_out(self) -> int:
        """Output channels of one group."""
        return self.c_out // self.groups

    @property
    def macs(self) -> int:
        """Multiply-accumulates, padding counted in."""
        return self.positions * self.c_out * self.taps * self.group_in

    def place(self, p: Any, k: Any) -> tuple[Any, Any]:
        """Return the input sample under tap k at position p, and whether it lies in the input."""
        return place(self, self.rows, p, k)

    @property
    def kind(self) -> str:
        """Start of a kernel name."""
        return "conv1d" if self.is_flat else "conv2d"

    @property
    def label(self) -> str:
        """Part of a kernel name."""
        r = self.rows
        rows = f"h{r.length}k{r.kernel}s{r.stride}d{r.dilation}p{r.pads[0]}_{r.pads[1]}"
        return ("" if self.is_flat else rows) + (
            f"l{self.length}i{self.c_in}o{self.c_out}k{self.kernel}"
            f"s{self.stride}d{self.dilation}p{self.pads[0]}_{self.pads[1]}g{self.groups}"
        )


def place(columns: Axis, rows: Axis, p: Any, k: Any) -> tuple[Any, Any]:
    """Return the input sample under tap k at position p, and whether it lies in the input.

    Args:
        columns: The faster axis.
        rows: The slower axis.
        p: Output sample, counted row by row.
        k: Tap, counted row by row.

    Returns:
        Input sample, counted row by row; the condition, or None where it always holds.
    """
    if rows == ONE_ROW:
        return columns.sample(p, k)
    width, taps = columns.length_out, columns.kernel
    t, inside = columns.sample(T.floormod(p, width), T.floormod(k, taps))
    row, within = rows.sample(T.floordiv(p, width), T.floordiv(k, taps))
    conditions = [condition for condition in (inside, within) if condition is not None]
    return row * columns.length + t, reduce(T.And, conditions) if conditions else None
