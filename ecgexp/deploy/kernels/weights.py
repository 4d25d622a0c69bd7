"""What a convolution or a dense layer multiplies by, and how its result is quantized."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ecgexp.deploy.kernels.kernel import Clamp, QParams
from ecgexp.deploy.kernels.requant import folded_bias, int8_limits, multiplier
from ecgexp.errors import BuildError

Array = np.ndarray[Any, Any]
NIBBLES = 16
_NIBBLE = 8
_LEAST_SCALE = 2.0**-100


@dataclass(frozen=True, kw_only=True)
class Storage:
    """How int8 weights may lie in flash other than one to a byte; the results are the same.

    Attributes:
        bit_planes: As bit planes where they are sums of few, and that is smaller.
        pack_int4: Two to a byte where all of a layer's lie in -8 to 7, and a kernel can.
    """

    bit_planes: bool = False
    pack_int4: bool = False


BYTES = Storage()


@dataclass(frozen=True, kw_only=True)
class Weights:
    """The constants of a layer as the network states them.

    Attributes:
        weight: (c_out, c_in / groups, ...taps) int8 or float32.
        bias: (c_out,) int32 or float32, or None.
        x: Quantization of the input; None for float32.
        w_scale: (c_out,) float32 weight scales; None for float32.
        y: Quantization of the output; None for float32.
        clamp: Fused activation range, in int8 units or real numbers.
        pack: Whether a kernel may hold weights of -8 to 7 as two to a byte.
    """

    weight: Array
    bias: Array | None = None
    x: QParams | None = None
    w_scale: Array | None = None
    y: QParams | None = None
    clamp: Clamp | None = None
    pack: bool = False

    @property
    def float_bias(self) -> Array:
        """The bias of a float32 layer; zeros where it has none."""
        if self.bias is None:
            return np.zeros(len(self.weight), np.float32)
        bias: Array = self.bias.astype(np.float32)
        return bias

    def integers(self) -> Integers | None:
        """Return the constants of an int8 kernel, or None for a float32 layer.

        Raises:
            BuildError: An int32 sum can overflow.
        """
        if self.x is None or self.y is None or self.w_scale is None:
            return None
        return Integers(
            weight=self.weight.reshape(*self.weight.shape[:2], -1),
            bias=folded_bias(self.weight, self.bias, self.x.zero_point),
            scale=multiplier(self.x, self.w_scale, self.y),
            x=self.x,
            y=self.y,
            limits=int8_limits(self.clamp),
            pack=self.pack,
        )


@dataclass(frozen=True, kw_only=True)
class Integers:
    """The constants of an int8 kernel.

    Attributes:
        weight: (c_out, c_in / groups, tap) int8, the taps of a window row by row.
        bias: (c_out,) int32 with the input's zero point folded in.
        scale: (c_out,) float32 requantization multipliers.
        x: Quantization of the input.
        y: Quantization of the output.
        limits: Smallest and largest output.
        pack: Whether a kernel may hold weights of -8 to 7 as two to a byte.
    """

    weight: Array
    bias: Array
    scale: Array
    x: QParams
    y: QParams
    limits: tuple[int, int]
    pack: bool = False

    @property
    def is_monotone(self) -> bool:
        """Whether a larger sum never gives a smaller output, so that maxima stay maxima."""
        return bool(np.all(self.scale >= 0))

    @property
    def unfolded_bias(self) -> Array:
        """The bias of a kernel that takes the zero point off each sample."""
        sums = self.weight.reshape(len(self.weight), -1).astype(np.int64).sum(axis=1)
        bias: Array = (self.bias + self.x.zero_point * sums).astype(np.int32)
        return bias

    @property
    def is_packed(self) -> bool:
        """Whether the weights go two to a byte.

        Sums are 16 times as large then, and the two channels of a byte meet in one sum; neither may
        leave int32, nor a multiplier the range in which a sixteenth of it is exact.
        """
        if not self.pack or self.weight.min() < -_NIBBLE or self.weight.max() >= _NIBBLE:
            return False
        flat = np.abs(self.weight.reshape(len(self.weight), -1).astype(np.int64)).sum(axis=1)
        reach = int((flat * 128 + np.abs(self.bias.astype(np.int64))).max())
        exact = bool(np.all((self.scale == 0) | (np.abs(self.scale) > _LEAST_SCALE)))
        return (NIBBLES + 1) * reach < 2**31 and exact

    @property
    def dtype(self) -> str:
        """What the weights are, in a kernel's name."""
        return "int4" if self.is_packed else "int8"

    @property
    def suffix(self) -> str:
        """Part of a layer's name: an output that is limited costs more."""
        return "" if self.limits == (-128, 127) else "_clamped"


def require_shape(weights: Weights, expected: tuple[int, ...]) -> None:
    """Refuse weights of another shape.

    Raises:
        BuildError: The shapes differ.
    """
    flat = weights.weight.reshape(*weights.weight.shape[:2], -1).shape
    if flat != expected:
        raise BuildError(f"weights are {flat}, expected {expected}")


def by_tap(weight: Array) -> Array:
    """Lay out depthwise weights (channel, 1, tap) as (tap, channel)."""
    return np.ascontiguousarray(weight[:, 0, :].T).reshape(-1)
