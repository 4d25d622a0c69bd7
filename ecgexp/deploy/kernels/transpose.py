"""Transpose of a matrix: between channel-major and time-major."""

from __future__ import annotations

from typing import Any

from ecgexp.deploy.kernels.ir import Parameter, T, prim_func, store
from ecgexp.deploy.kernels.kernel import Isa, Kernel, check_isa


def build(*, isa: Isa, rows: int, cols: int, dtype: str) -> Kernel:
    """Build out[c, r] = data[r, c].

    Args:
        isa: Instruction set to write for.
        rows: Rows of the input.
        cols: Columns of the input.
        dtype: `int8` or `float32`.
    """
    check_isa(isa)

    def body(data: Any, out: Any) -> None:
        with T.grid(cols, rows) as (c, r):
            store(out, c * rows + r, data[r * cols + c])

    name = f"transpose_{dtype}_r{rows}c{cols}"
    parameters = [Parameter("data", rows * cols, dtype), Parameter("out", rows * cols, dtype)]
    return Kernel(name, prim_func(name, parameters, body), (), 0)
