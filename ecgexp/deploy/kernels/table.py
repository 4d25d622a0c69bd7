"""Any function of one int8 value, as a table of 256 results."""

from __future__ import annotations

from typing import Any

import numpy as np

from ecgexp.deploy.kernels import helium
from ecgexp.deploy.kernels.ir import Parameter, T, prim_func, ramp, store
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

    # Helium looks up sixteen unsigned bytes at once: there the entry for 0 comes first.
    constant = np.roll(table, -128) if isa == "mve" else table
    parameters = [Parameter("data", n, "int8"), Parameter("c0", 256, "int8")]
    parameters.append(Parameter("out", n, "int8"))
    name = f"table_int8_n{n}"
    func = prim_func(name, parameters, _mve_body(n) if isa == "mve" else _plain_body(n))
    return Kernel(name, func, (constant,), 0, in_place=True)


def _plain_body(n: int) -> Any:
    def body(data: Any, values: Any, out: Any) -> None:
        with T.serial(n) as i:
            store(out, i, values[T.Cast("int32", data[i]) + 128])

    return body


def _mve_body(n: int) -> Any:
    def body(data: Any, values: Any, out: Any) -> None:
        full, tail = divmod(n, 16)
        if full:
            with T.serial(full) as i:
                index = ramp(i * 16, 16)
                store(out, index, helium.lookup_bytes(values, data[index]))
        with T.serial(tail) as i:
            at = i + full * 16
            store(out, at, values[T.Cast("int32", T.Cast("uint8", data[at]))])

    return body


def requantize_table(x: QParams, y: QParams) -> Array:
    """Return the table of quantize(dequantize(v)): a change of scale and zero point."""
    values = np.arange(-128, 128, dtype=np.int32) - x.zero_point
    real = values.astype(np.float32) * np.float32(x.scale)
    steps = np.rint(real / np.float32(y.scale)).astype(np.int64) + y.zero_point
    table: Array = np.clip(steps, -128, 127).astype(np.int8)
    return table
