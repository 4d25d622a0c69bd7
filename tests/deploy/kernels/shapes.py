"""Random operators: hypothesis strategies and their exact integer or ONNX Runtime answers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from hypothesis import strategies as st
from onnx import helper
from ort_reference import run_quantized

from ecgexp.deploy.kernels import Isa, Kernel, QParams, conv1d
from ecgexp.deploy.kernels.conv_shape import ConvShape
from ecgexp.deploy.kernels.weights import Weights

Array = np.ndarray[Any, Any]


@st.composite
def qparams(draw: st.DrawFn) -> QParams:
    exponent = draw(st.floats(-6, 3))
    return QParams(float(np.float32(10.0**exponent)), draw(st.integers(-128, 127)))


def int8s(rng: np.random.Generator, shape: tuple[int, ...], extreme: int) -> Array:
    """Random int8 values; `extreme` 1 gives only the ends of the range, 2 one value everywhere."""
    if extreme == 1:
        return rng.choice(np.array([-128, 127], np.int8), shape)
    if extreme == 2:
        return np.full(shape, rng.integers(-128, 128), np.int8)
    return rng.integers(-128, 128, shape).astype(np.int8)


@dataclass(frozen=True)
class ConvCase:
    length: int
    c_in: int
    c_out: int
    kernel: int
    stride: int
    dilation: int
    pads: tuple[int, int]
    groups: int
    x: QParams
    y: QParams
    clamp: tuple[int, int] | None
    bias: bool
    extreme: int
    seed: int

    @property
    def length_out(self) -> int:
        span = (self.kernel - 1) * self.dilation + 1
        return (self.length + sum(self.pads) - span) // self.stride + 1

    @property
    def macs(self) -> int:
        return self.length_out * self.c_out * self.kernel * self.c_in // self.groups

    def arrays(self) -> tuple[Array, Array, Array | None, Array]:
        """Return input (length, c_in), weight, bias, weight scales.

        The scales spread the sums over about three times the output range, so that both
        rounding and saturation matter.
        """
        rng = np.random.default_rng(self.seed)
        x = int8s(rng, (self.length, self.c_in), self.extreme)
        shape = (self.c_out, self.c_in // self.groups, self.kernel)
        weight = np.maximum(int8s(rng, shape, self.extreme), -127)
        spread = np.sqrt(np.prod(shape[1:])) * 5000
        bias = rng.integers(-spread, spread + 1, self.c_out).astype(np.int32)
        target = rng.uniform(0.3, 3.0, self.c_out) * 128 / spread
        w_scale = (target * self.y.scale / self.x.scale).astype(np.float32)
        return x, weight, bias if self.bias else None, w_scale

    def kernel_for(self, isa: Isa) -> Kernel:
        _, weight, bias, w_scale = self.arrays()
        return conv1d.build(
            isa=isa,
            shape=ConvShape(
                length=self.length,
                c_in=self.c_in,
                c_out=self.c_out,
                kernel=self.kernel,
                stride=self.stride,
                dilation=self.dilation,
                pads=self.pads,
                groups=self.groups,
            ),
            weights=Weights(
                weight=weight,
                bias=bias,
                x=self.x,
                w_scale=w_scale,
                y=self.y,
                clamp=self.clamp,
            ),
        )

    def sums(self) -> Array:
        """Return the exact sums (length_out, c_out), bias included, as int64."""
        x, weight, bias, _ = self.arrays()
        padded = np.pad(x.astype(np.int64) - self.x.zero_point, (self.pads, (0, 0)))
        group_in, group_out = self.c_in // self.groups, self.c_out // self.groups
        sums = np.zeros((self.length_out, self.c_out), np.int64)
        for tap in range(self.kernel):
            start = tap * self.dilation
            rows = padded[start : start + (self.length_out - 1) * self.stride + 1 : self.stride]
            for group in range(self.groups):
                inputs = rows[:, group * group_in : (group + 1) * group_in]
                outputs = slice(group * group_out, (group + 1) * group_out)
                sums[:, outputs] += inputs @ weight[outputs, :, tap].astype(np.int64).T
        return sums if bias is None else sums + bias

    def expected(self) -> Array:
        """Return the integer definition of the output, (length_out, c_out) int8."""
        _, _, _, w_scale = self.arrays()
        multiplier = np.float64(self.x.scale) * w_scale.astype(np.float64) / self.y.scale
        steps = np.rint(self.sums().astype(np.float32) * multiplier.astype(np.float32))
        lo, hi = self.clamp or (-128, 127)
        return np.clip(steps.astype(np.int64) + self.y.zero_point, lo, hi).astype(np.int8)

    def onnxruntime(self) -> Array:
        """Return what ONNX Runtime makes of the QDQ graph, (length_out, c_out) int8."""
        x, weight, bias, w_scale = self.arrays()
        weights = {"w": (weight, w_scale)}
        names = ["x_f", "w_f"]
        if bias is not None:
            weights["b"] = (bias, (np.float32(self.x.scale) * w_scale).astype(np.float32))
            names.append("b_f")
        node = helper.make_node(
            "Conv",
            names,
            ["r"],
            strides=[self.stride],
            dilations=[self.dilation],
            pads=list(self.pads),
            group=self.groups,
        )
        out = run_quantized(node, {"x": (x.T[None].copy(), self.x)}, self.y, weights)
        lo, hi = self.clamp or (-128, 127)
        return np.clip(out[0].T, lo, hi)


@st.composite
def conv_cases(draw: st.DrawFn, *, depthwise: bool, max_channels: int = 20) -> ConvCase:
    kernel, dilation = draw(st.integers(1, 11)), draw(st.integers(1, 4))
    span = (kernel - 1) * dilation + 1
    pads = (draw(st.integers(0, span)), draw(st.integers(0, span)))
    length = draw(st.integers(max(1, span - sum(pads)), 44))  # the widest span is 41
    if depthwise:
        groups = draw(st.integers(2, max_channels))
        c_in = c_out = groups
    else:
        groups = draw(st.sampled_from([1, 1, 1, 2, 3]))
        c_in = groups * draw(st.integers(1, max(1, max_channels // groups)))
        c_out = groups * draw(st.integers(1, max(1, max_channels // groups)))
    limits = sorted((draw(st.integers(-128, 127)), draw(st.integers(-128, 127))))
    return ConvCase(
        length=length,
        c_in=c_in,
        c_out=c_out,
        kernel=kernel,
        stride=draw(st.integers(1, 3)),
        dilation=dilation,
        pads=pads,
        groups=groups,
        x=draw(qparams()),
        y=draw(qparams()),
        clamp=draw(st.sampled_from([None, None, (limits[0], limits[1])])),
        bias=draw(st.booleans()),
        extreme=draw(st.sampled_from([0, 0, 0, 1, 2])),
        seed=draw(st.integers(0, 2**31)),
    )


def without_padding(case: ConvCase) -> ConvCase:
    return replace(case, pads=(0, 0), length=case.length + sum(case.pads))
