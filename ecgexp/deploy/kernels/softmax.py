"""Softmax of one float32 vector."""

from __future__ import annotations

from typing import Any

from ecgexp.deploy.kernels.ir import Parameter, T, f32, local, prim_func, store
from ecgexp.deploy.kernels.kernel import Isa, Kernel, check_isa


def build(*, isa: Isa, n: int) -> Kernel:
    """Build out = exp(data - max) / sum(exp(data - max)) over n elements."""
    check_isa(isa)

    def body(data: Any, out: Any) -> None:
        best = local(1, "float32")
        total = local(1, "float32")
        store(best, 0, data[0])
        with T.serial(n) as i:
            store(best, 0, T.max(best[0], data[i]))
        store(total, 0, f32(0.0))
        with T.serial(n) as i:
            store(out, i, T.call_pure_extern("float32", "expf", data[i] - best[0]))
            store(total, 0, total[0] + out[i])
        with T.serial(n) as i:
            store(out, i, out[i] / total[0])

    name = f"softmax_float32_n{n}"
    parameters = [Parameter("data", n, "float32"), Parameter("out", n, "float32")]
    return Kernel(name, prim_func(name, parameters, body), (), 0, in_place=True)
