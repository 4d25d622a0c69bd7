"""Random two-dimensional convolutions and poolings with ONNX Runtime's answers."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from hypothesis import strategies as st
from onnx import helper
from operators import Case, matching
from ort_reference import run_nodes, run_quantized
from shapes import int8s, qparams

from ecgexp.deploy.kernels import Isa, Kernel, QParams, conv1d, pool
from ecgexp.deploy.kernels.conv_shape import Axis, ConvShape
from ecgexp.deploy.kernels.weights import Weights

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Conv2dCase:
    rows: Axis
    columns: Axis
    c_in: int
    c_out: int
    groups: int
    x: QParams
    y: QParams
    extreme: int
    seed: int

    @property
    def shape_out(self) -> tuple[int, int, int]:
        return self.rows.length_out, self.columns.length_out, self.c_out

    @property
    def macs(self) -> int:
        window = self.rows.kernel * self.columns.kernel * self.c_in // self.groups
        return int(np.prod(self.shape_out)) * window

    def arrays(self) -> tuple[Array, Array, Array, Array]:
        """Return input (row, column, c_in), weight, bias, weight scales."""
        rng = np.random.default_rng(self.seed)
        x = int8s(rng, (self.rows.length, self.columns.length, self.c_in), self.extreme)
        window = (self.c_in // self.groups, self.rows.kernel, self.columns.kernel)
        weight = np.maximum(int8s(rng, (self.c_out, *window), self.extreme), -127)
        spread = np.sqrt(np.prod(window)) * 5000
        bias = rng.integers(-spread, spread + 1, self.c_out).astype(np.int32)
        target = rng.uniform(0.3, 3.0, self.c_out) * 128 / spread
        return x, weight, bias, (target * self.y.scale / self.x.scale).astype(np.float32)

    def kernel_for(self, isa: Isa) -> Kernel:
        _, weight, bias, w_scale = self.arrays()
        return self._build(isa, weight, bias, self.x, w_scale, self.y)

    def _build(
        self,
        isa: Isa,
        weight: Array,
        bias: Array,
        x: QParams | None,
        w_scale: Array | None,
        y: QParams | None,
    ) -> Kernel:
        shape = ConvShape(
            **asdict(self.columns),
            rows=self.rows,
            c_in=self.c_in,
            c_out=self.c_out,
            groups=self.groups,
        )
        weights = Weights(weight=weight, bias=bias, x=x, w_scale=w_scale, y=y)
        return conv1d.build(isa=isa, shape=shape, weights=weights)

    def expected(self) -> Array:
        """Return the integer definition of the output, (row, column, c_out) int8."""
        x, weight, bias, w_scale = self.arrays()
        real = x.astype(np.int64) - self.x.zero_point
        sums = (self._sums(real, weight.astype(np.int64)) + bias).astype(np.float32)
        factor = np.float64(self.x.scale) * w_scale.astype(np.float64) / self.y.scale
        steps = np.rint(sums * factor.astype(np.float32)).astype(np.int64) + self.y.zero_point
        return np.clip(steps, -128, 127).astype(np.int8)

    def floats(self, isa: Isa) -> tuple[Kernel, Array, Array]:
        """Return a float32 kernel, its input and the output."""
        rng = np.random.default_rng(self.seed)
        x, weight, bias, _ = self.arrays()
        x, weight = (rng.normal(size=a.shape).astype(np.float32) for a in (x, weight))
        bias = rng.normal(size=bias.shape).astype(np.float32)
        expected = self._sums(x.astype(np.float64), weight.astype(np.float64)) + bias
        kernel = self._build(isa, weight, bias, None, None, None)
        return kernel, x, expected.astype(np.float32)

    def _sums(self, x: Array, weight: Array) -> Array:
        axes = (self.rows, self.columns)
        padded = np.pad(x, (self.rows.pads, self.columns.pads, (0, 0)))
        sums = np.zeros(self.shape_out, x.dtype)
        group_in, group_out = self.c_in // self.groups, self.c_out // self.groups
        for tap in np.ndindex(self.rows.kernel, self.columns.kernel):
            steps = [
                slice(k * a.dilation, k * a.dilation + (a.length_out - 1) * a.stride + 1, a.stride)
                for k, a in zip(tap, axes, strict=True)
            ]
            seen = padded[steps[0], steps[1]]
            for group in range(self.groups):
                inputs = seen[..., group * group_in : (group + 1) * group_in]
                outputs = slice(group * group_out, (group + 1) * group_out)
                sums[..., outputs] += inputs @ weight[outputs, :, tap[0], tap[1]].T
        return sums

    def onnxruntime(self) -> Array:
        """Return what ONNX Runtime makes of the QDQ graph, (row, column, c_out) int8."""
        x, weight, bias, w_scale = self.arrays()
        b_scale = (np.float32(self.x.scale) * w_scale).astype(np.float32)
        node = helper.make_node(
            "Conv",
            ["x_f", "w_f", "b_f"],
            ["r"],
            strides=[self.rows.stride, self.columns.stride],
            dilations=[self.rows.dilation, self.columns.dilation],
            pads=[p for side in zip(self.rows.pads, self.columns.pads, strict=True) for p in side],
            group=self.groups,
        )
        data = {"x": (np.ascontiguousarray(x.transpose(2, 0, 1))[None], self.x)}
        out = run_quantized(node, data, self.y, {"w": (weight, w_scale), "b": (bias, b_scale)})
        return out[0].transpose(1, 2, 0)


@st.composite
def axes(draw: st.DrawFn, max_kernel: int) -> Axis:
    kernel, dilation = draw(st.integers(1, max_kernel)), draw(st.sampled_from([1, 1, 1, 2]))
    span = (kernel - 1) * dilation + 1
    pads = (draw(st.integers(0, span - 1)), draw(st.integers(0, span - 1)))
    return Axis(
        length=draw(st.integers(max(1, span - sum(pads)), 14)),
        kernel=kernel,
        stride=draw(st.integers(1, 3)),
        dilation=dilation,
        pads=pads,
    )


@st.composite
def conv2d_cases(draw: st.DrawFn, *, depthwise: bool, max_channels: int = 20) -> Conv2dCase:
    if depthwise:
        c_in = c_out = groups = draw(st.integers(2, max_channels))
    else:
        groups = draw(st.sampled_from([1, 1, 1, 2, 3]))
        c_in = groups * draw(st.integers(1, max(1, max_channels // groups)))
        c_out = groups * draw(st.integers(1, max(1, max_channels // groups)))
    return Conv2dCase(
        rows=draw(axes(5)),
        columns=draw(axes(5)),
        c_in=c_in,
        c_out=c_out,
        groups=groups,
        x=draw(qparams()),
        y=draw(qparams()),
        extreme=draw(st.sampled_from([0, 0, 0, 1, 2])),
        seed=draw(st.integers(0, 2**31)),
    )


@st.composite
def pool2d_cases(draw: st.DrawFn, kind: Literal["max", "avg"]) -> Case:
    sizes = [draw(st.integers(1, 4)) for _ in range(2)]
    lengths = [draw(st.integers(size, 12)) for size in sizes]
    strides = [draw(st.integers(1, 3)) for _ in range(2)]
    pads = [tuple(draw(st.integers(0, size - 1)) for _ in range(2)) for size in sizes]
    channels, include = draw(st.integers(1, 20)), draw(st.booleans())
    real = draw(st.booleans())
    x = draw(qparams())
    y = x if kind == "max" else matching(draw, x, 0.3, 1.0)
    rng = np.random.default_rng(draw(st.integers(0, 2**31)))
    data = int8s(rng, (*lengths, channels), draw(st.sampled_from([0, 0, 1, 2])))
    attributes = {"count_include_pad": int(include)} if kind == "avg" else {}
    node = helper.make_node(
        {"max": "MaxPool", "avg": "AveragePool"}[kind],
        ["x_f"],
        ["r"],
        kernel_shape=sizes,
        strides=strides,
        pads=[pads[0][0], pads[1][0], pads[0][1], pads[1][1]],
        **attributes,
    )
    turned = np.ascontiguousarray(data.transpose(2, 0, 1))[None]
    if real:
        data = rng.normal(size=data.shape).astype(np.float32)
        turned = np.ascontiguousarray(data.transpose(2, 0, 1))[None]
        expected = run_nodes([node], {}, {"x_f": turned}, "r", "float32")
    else:
        expected = run_quantized(node, {"x": (turned, x)}, y)
    rows, columns = (
        Axis(length=n, kernel=k, stride=s, dilation=1, pads=p)
        for n, k, s, p in zip(lengths, sizes, strides, pads, strict=True)
    )

    def kernel(isa: Isa) -> Kernel:
        return pool.build(
            isa=isa,
            kind=kind,
            length=columns.length,
            channels=channels,
            kernel=columns.kernel,
            stride=columns.stride,
            pads=columns.pads,
            x=None if real else x,
            y=None if real else y,
            count_include_pad=include,
            rows=rows,
        )

    label = f"{kind} {rows} {columns} c{channels} include {include} {x} {y}"
    return Case(label, kernel, (data,), np.ascontiguousarray(expected[0].transpose(1, 2, 0)))
