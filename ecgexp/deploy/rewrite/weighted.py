"""Convolution and dense layers, on integers or on float32 numbers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecgexp.deploy.fold import Dequantized
from ecgexp.deploy.graph import element_count
from ecgexp.deploy.kernels import Kernel, QParams, affine, conv1d, dense, planes_conv
from ecgexp.deploy.kernels.conv_shape import ONE_ROW, Axis, ConvShape
from ecgexp.deploy.kernels.weights import Weights
from ecgexp.deploy.program import Buffer
from ecgexp.deploy.rewrite.deferred import Deferred, Operand, plain
from ecgexp.deploy.rewrite.materialise import Materialiser
from ecgexp.deploy.rewrite.value import Padded, Real, Table, View

Array = NDArray[Any]
_DENSE = ConvShape(length=1, c_in=1, c_out=1, kernel=1, stride=1, dilation=1, pads=(0, 0), groups=1)


@dataclass(frozen=True, kw_only=True, slots=True)
class Integers:
    """The constants of an integer kernel.

    Attributes:
        weight: int8, output channel first.
        scale: float32 (c_out,), of the weights.
        bias: int32 (c_out,) in units of input scale times weight scale, or None.
    """

    weight: Array
    scale: Array
    bias: Array | None


@dataclass(kw_only=True)
class Weighted(Deferred):
    """An operator with weights and, once it is seen, a bias.

    Attributes:
        x: Input.
        weight: Output channel first.
        bias: (c_out,), or None.
    """

    x: Operand
    weight: Array
    bias: Array | None = None

    @property
    def operands(self) -> tuple[Operand, ...]:
        """The input."""
        return (self.x,)

    def with_bias(self, bias: Array) -> Weighted:
        """Return the operator followed by the addition of one number per output channel."""
        total = bias if self.bias is None else np.asarray(self.bias) + np.asarray(bias)
        return replace(self, bias=total, _results={})

    def scaled(self, factor: Array) -> Weighted:
        """Return the operator followed by a multiplication by one number per output channel."""
        shape = (-1,) + (1,) * (self.weight.ndim - 1)
        weight = np.asarray(self.weight) * np.asarray(factor).reshape(shape)
        bias = None if self.bias is None else np.asarray(self.bias) * np.asarray(factor)
        return replace(self, weight=weight, bias=bias, _results={})

    @property
    def takes_bias(self) -> bool:
        """Whether nothing has followed the sum yet."""
        return not self.moves and self.low == -np.inf and self.high == np.inf

    def _weights(
        self,
        integers: Integers | None,
        x: QParams | None,
        y: QParams | None,
        *,
        pack: bool = False,
    ) -> Weights:
        """Return what the kernel computes with; float32 without integers."""
        if integers is None or y is None:
            return Weights(
                weight=np.asarray(self.weight, np.float32),
                bias=None if self.bias is None else np.asarray(self.bias, np.float32),
                clamp=self._real_clamp(),
            )
        return Weights(
            weight=integers.weight,
            bias=integers.bias,
            x=x,
            w_scale=integers.scale,
            y=y,
            clamp=self._code_clamp(y),
            pack=pack,
        )

    def _integers(self, x: QParams) -> Integers | None:
        if not isinstance(self.weight, Dequantized):
            return None
        codes = self.weight.codes.astype(np.int64) - self.weight.zero_points
        scales = self.weight.scales.reshape(len(codes), -1)
        if not np.array_equal(scales, np.broadcast_to(scales[:, :1], scales.shape)):
            raise self.op.fail("its weights need one scale per tensor or per output channel")
        if codes.min() < -128 or codes.max() > 127:
            raise self.op.fail("its weights less their zero point leave int8; use symmetric int8")
        scale = np.ascontiguousarray(scales[:, 0])
        return Integers(
            weight=codes.astype(np.int8), scale=scale, bias=self._integer_bias(x.scale, scale)
        )

    def _integer_bias(self, x_scale: float, w_scale: Array) -> Array | None:
        if self.bias is None:
            return None
        units = np.float64(x_scale) * w_scale.astype(np.float64)
        if isinstance(self.bias, Dequantized) and np.allclose(self.bias.scales, units, rtol=1e-6):
            steps = self.bias.codes.astype(np.int64) - self.bias.zero_points
        else:
            steps = np.rint(np.asarray(self.bias, np.float64) / units).astype(np.int64)
        if np.abs(steps).max(initial=0) > np.iinfo(np.int32).max:
            raise self.op.fail("its bias leaves int32 in units of input scale times weight scale")
        return steps.astype(np.int32)


@dataclass(kw_only=True)
class Conv(Weighted):
    """A convolution over time, or over rows and columns.

    Attributes:
        stride: Samples between outputs.
        dilation: Samples between taps.
        pads: Zeros before and after the signal.
        groups: Channel groups.
        rows: How windows move over rows; the other attributes then describe columns.
    """

    stride: int
    dilation: int
    pads: tuple[int, int]
    groups: int
    rows: Axis = ONE_ROW

    def _codes(self, materialiser: Materialiser, y: QParams) -> Buffer | None:
        x, pads = self._absorb(materialiser)
        assert isinstance(x, Table)
        held = materialiser.table(self.op, x)
        assert held.qparams is not None
        integers = self._integers(held.qparams)
        if integers is not None:
            kernel = self._kernel(materialiser, held, pads, integers, held.qparams, y)
        elif self._is_affine(held):
            kernel = self._affine(materialiser, held, held.qparams, y)
        else:
            return None
        return self._emit(materialiser, kernel, "int8", materialiser.arrange(self.op, held))

    def _is_affine(self, x: View) -> bool:
        """Whether each output is one input of its own channel, scaled and shifted."""
        alone = self.groups == x.shape[1] == len(self.weight) and self.weight.size == x.shape[1]
        return alone and self.stride == 1 and self.pads == (0, 0)

    def _affine(self, materialiser: Materialiser, x: View, x_params: QParams, y: QParams) -> Kernel:
        channels = x.shape[1]
        zeros = np.zeros(channels, np.float32)
        return affine.build(
            isa=materialiser.isa,
            length=element_count(x.shape) // channels,
            factor=np.asarray(self.weight, np.float32).reshape(-1),
            summand=zeros if self.bias is None else np.asarray(self.bias, np.float32),
            x=x_params,
            y=y,
            clamp=self._code_clamp(y),
        )

    def _real(self, materialiser: Materialiser) -> Buffer:
        x, pads = self._absorb(materialiser)
        real = materialiser.real(self.op, x)
        kernel = self._kernel(materialiser, real, pads, None, None, None)
        return self._emit(materialiser, kernel, "float32", materialiser.arrange(self.op, real))

    def _absorb(self, materialiser: Materialiser) -> tuple[Operand, tuple[int, int]]:
        """Take a padding with zeros in front of the convolution into its own pads."""
        if not isinstance(self.x, Padded):
            return self.x, self.pads
        if self.x.fill == 0:
            before, after = (a + b for a, b in zip(self.pads, self.x.pads, strict=True))
            return plain(self.x), (before, after)
        if isinstance(self.x.inner, Table):
            return materialiser.table(self.op, self.x), self.pads
        return materialiser.real(self.op, self.x), self.pads

    def _kernel(
        self,
        materialiser: Materialiser,
        x: View,
        pads: tuple[int, int],
        integers: Integers | None,
        x_params: QParams | None,
        y: QParams | None,
    ) -> Kernel:
        channels = x.shape[1]
        taps = self.weight.shape[2]
        shape = ConvShape(
            length=element_count(x.shape) // channels // self.rows.length,
            kernel=taps // self.rows.kernel,
            stride=self.stride,
            dilation=self.dilation,
            pads=pads,
            c_in=channels,
            c_out=self.weight.shape[0],
            groups=self.groups,
            rows=self.rows,
        )
        weights = self._weights(integers, x_params, y, pack=materialiser.storage.pack_int4)
        kernel = None
        if materialiser.storage.bit_planes:
            kernel = planes_conv.build(isa=materialiser.isa, shape=shape, weights=weights)
        return kernel or conv1d.build(isa=materialiser.isa, shape=shape, weights=weights)


@dataclass(kw_only=True)
class Dense(Weighted):
    """A fully connected layer; the weights follow the layout of the input."""

    def _codes(self, materialiser: Materialiser, y: QParams) -> Buffer | None:
        assert isinstance(self.x, Table | Padded)
        held = materialiser.table(self.op, self.x)
        assert held.qparams is not None
        integers = self._integers(held.qparams)
        if integers is None:
            return None
        weights = self._weights(integers, held.qparams, y, pack=materialiser.storage.pack_int4)
        kernel = self._kernel(materialiser, weights, held)
        return self._emit(materialiser, kernel, "int8", held.buffer)

    def _real(self, materialiser: Materialiser) -> Buffer:
        real: Real = materialiser.real(self.op, self.x)
        kernel = self._kernel(materialiser, self._weights(None, None, None), real)
        return self._emit(materialiser, kernel, "float32", real.buffer)

    def _kernel(self, materialiser: Materialiser, weights: Weights, x: View) -> Kernel:
        laid_out = replace(weights, weight=self._laid_out(weights.weight, x))
        kernel = None
        if materialiser.storage.bit_planes:
            n_out, n_in = laid_out.weight.shape
            shape = replace(_DENSE, c_in=n_in, c_out=n_out)
            kernel = planes_conv.build(isa=materialiser.isa, shape=shape, weights=laid_out)
        return kernel or dense.build(isa=materialiser.isa, weights=laid_out)

    def _laid_out(self, weight: Array, x: View) -> Array:
        if x.order.size != x.buffer.elements:
            raise self.op.fail(f"it reads {x.order.size} of {x.buffer.elements} elements")
        laid_out = np.empty_like(weight)
        laid_out[:, x.order.reshape(-1)] = weight
        return laid_out
