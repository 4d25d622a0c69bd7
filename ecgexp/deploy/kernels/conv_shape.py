"""The geometry of a one-dimensional convolution."""

from __future__ import annotations

from dataclasses import dataclass

from ecgexp.errors import BuildError


@dataclass(frozen=True, kw_only=True)
class ConvShape:
    """The geometry of a one-dimensional convolution.

    Attributes:
        length: Input samples.
        c_in: Input channels.
        c_out: Output channels.
        kernel: Taps.
        stride: Samples between outputs.
        dilation: Samples between taps.
        pads: Padding samples on the left and on the right.
        groups: Number of channel groups.
    """

    length: int
    c_in: int
    c_out: int
    kernel: int
    stride: int
    dilation: int
    pads: tuple[int, int]
    groups: int

    def __post_init__(self) -> None:
        if self.c_in % self.groups or self.c_out % self.groups:
            raise BuildError(
                f"convolution: {self.c_in} -> {self.c_out} channels do not divide into "
                f"{self.groups} groups"
            )
        if self.length_out < 1:
            raise BuildError(
                f"convolution: kernel of {self.kernel} with dilation {self.dilation} is longer "
                f"than {self.length} samples padded by {self.pads}"
            )

    @property
    def length_out(self) -> int:
        """Output samples."""
        span = (self.kernel - 1) * self.dilation + 1
        return (self.length + sum(self.pads) - span) // self.stride + 1

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
        return self.length_out * self.c_out * self.kernel * self.group_in

    @property
    def label(self) -> str:
        """Part of a kernel name."""
        return (
            f"l{self.length}i{self.c_in}o{self.c_out}k{self.kernel}"
            f"s{self.stride}d{self.dilation}p{self.pads[0]}_{self.pads[1]}g{self.groups}"
        )
