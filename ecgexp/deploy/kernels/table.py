"""Any function of one int8 value, as a table of 256 results."""

from __future__ import annotations

from typing import Any

import numpy as np

from ecgexp.deploy.kernels.ir import Parameter, T, prim_func, store
from ecgexp.deploy.kernels.kernel import Isa, Kernel, QParams, check_isa
from ecgexp.errors import BuildError

Array = np.ndarray[Any, Any]


def build(*, isa: Isa, n: int, table: Array) -> Kernel:
    """Build out[i] = table[data[i] + 128].

    Args:
        isa: Instruction set to write for.
        n: Elements.
        table: (256,) int8: the result for -128 first.

    Raises:
        BuildError: The table is not 256 int8 values.
    """
    check_isa(isa)
    if table.shape != (256,) or table.dtype != np.int8:
        raise BuildError(f"table is {table.dtype}{table.shape}, expected 256 int8 values")

    def body(data: Any, values: Any, out: Any) -> None:
        with T.serial(n) as i:
            store(out, i, values[T.Cast("int32", data[i]) + 128])

    parameters = [Parameter("data", n, "int8"), Parameter("c0", 256, "int8")]
    parameters.append(Parameter("out", n, "int8"))
    name = f"table_int8_n{n}"
    return Kernel(name, prim_func(name, parameters, body), (table,), 0, in_place=True)


def requantize_table(x: QParams, y: QParams) -> Array:
    """Return the table of quantize(dequantize(v)): a change of scale and zero point."""
    values = np.arange(-128, 128, dtype=np.int32) - x.zero_point
    real = values.astype(np.float32) * np.float32(x.scale)
    steps = np.rint(real / np.float32(y.scale)).astype(np.int64) + y.zero_point
    table: Array = np.clip(steps, -128, 127).astype(np.int8)
    return table
