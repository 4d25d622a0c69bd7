"""Borders between float32 and int8 tensors."""

from __future__ import annotations

from typing import Any

from ecgexp.deploy.kernels.ir import Parameter, T, f32, i32, prim_func, store
from ecgexp.deploy.kernels.kernel import Isa, Kernel, QParams, check_isa
from ecgexp.deploy.kernels.requant import quantize_scalar


def build(*, isa: Isa, n: int, y: QParams) -> Kernel:
    """Build out = saturate(round(data / scale) + zero point) over n elements."""
    check_isa(isa)

    def body(data: Any, out: Any) -> None:
        with T.serial(n) as i:
            store(out, i, quantize_scalar(data[i] / f32(y.scale), y, (-128, 127)))

    name = f"quantize_n{n}"
    parameters = [Parameter("data", n, "float32"), Parameter("out", n, "int8")]
    return Kernel(name, prim_func(name, parameters, body), (), 0)


def build_dequantize(*, isa: Isa, n: int, x: QParams) -> Kernel:
    """Build out = (data - zero point) * scale over n elements."""
    check_isa(isa)

    def body(data: Any, out: Any) -> None:
        with T.serial(n) as i:
            steps = T.Cast("int32", data[i]) - i32(x.zero_point)
            store(out, i, T.Cast("float32", steps) * f32(x.scale))

    name = f"dequantize_n{n}"
    parameters = [Parameter("data", n, "int8"), Parameter("out", n, "float32")]
    return Kernel(name, prim_func(name, parameters, body), (), 0)
