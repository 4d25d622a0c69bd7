"""Max and average pooling over time or over rows and columns, time-major."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from ecgexp.deploy.kernels import pool_mve, proof
from ecgexp.deploy.kernels.conv_shape import ONE_ROW, Axis
from ecgexp.deploy.kernels.ir import (
    T,
    constant_parameters,
    f32,
    local,
    prim_func,
    store,
)
from ecgexp.deploy.kernels.kernel import Isa, Kernel, QParams, check_isa
from ecgexp.deploy.kernels.requant import dequantized, quantize_scalar
from ecgexp.deploy.kernels.window import Window
from ecgexp.errors import BuildError

# Up to this stride along a row, ONNX Runtime adds up each column of a window first.
_COLUMNS_FIRST = 2

Kind = Literal["max", "avg"]


def build(  # noqa: PLR0913
    *,
    isa: Isa,
    kind: Kind,
    length: int,
    channels: int,
    kernel: int,
    stride: int,
    pads: tuple[int, int],
    x: QParams | None,
    y: QParams | None,
    count_include_pad: bool,
    rows: Axis = ONE_ROW,
) -> Kernel:
    """Build a pooling of a (length, channels) buffer, or of rows of such.

    Args:
        isa: Instruction set to write for.
        kind: `max` or `avg`.
        length: Input samples.
        channels: Channels.
        kernel: Samples of a window.
        stride: Samples between windows.
        pads: Padding on the left and right, in samples.
        x: Quantization of the input; None for float32.
        y: Quantization of the output; None for float32. Equal to `x` for `max`.
        count_include_pad: Whether padding counts in the divisor of `avg`.
        rows: How windows move over rows, where there are any.

    Raises:
        BuildError: A window is empty, or `max` would have to change the quantization.
    """
    check_isa(isa)
    window = Window(length, channels, kernel, stride, pads, rows)
    if any(max(a.pads) >= a.kernel or a.length_out < 1 for a in (window.axis, rows)):
        sizes = " by ".join(
            f"{a.kernel} in {a.length} padded by {a.pads}" for a in (rows, window.axis)
        )
        raise BuildError(f"pooling: the window does not fit: {sizes}")
    if kind == "max":
        if x != y:
            raise BuildError(f"max pooling cannot change the quantization from {x} to {y}")
        return _max_kernel(isa, window, "float32" if x is None else "int8")
    if x is None or y is None:
        return _float_average(window, count_include_pad)
    if isa == "mve" and channels >= 8 and not window.is_padded:
        factor = proof.window_multiplier(x, y, window.taps)
        if factor is not None:
            name = f"avg_pool_int8_{window.label}"
            body = pool_mve.mean_body(window, x, y, factor)
            return Kernel(name, prim_func(name, window.parameters("int8"), body), (), 0)
    return _int8_average(window, x, y, count_include_pad)


def _max_kernel(isa: Isa, window: Window, dtype: str) -> Kernel:
    lowest = T.int8(-128) if dtype == "int8" else f32(-3.4028234663852886e38)

    def body(data: Any, out: Any) -> None:
        best = local(1, dtype)
        with T.grid(window.positions, window.channels) as (p, c):
            store(best, 0, lowest)
            with T.serial(window.taps) as k:
                store(best, 0, T.max(best[0], window.load(data, p, k, c, lowest)))
            store(out, p * window.channels + c, best[0])

    name = f"max_pool_{dtype}_{window.label}"
    if isa == "mve" and window.channels >= 4:
        body = pool_mve.max_body(window, dtype)
    func = prim_func(name, window.parameters(dtype), body)
    fusable = dtype == "int8" and window.is_flat
    return Kernel(name, func, (), 0, maximum=window if fusable else None)


def _float_average(window: Window, count_include_pad: bool) -> Kernel:
    def body(data: Any, out: Any) -> None:
        acc = local(1, "float32")
        with T.grid(window.positions, window.channels) as (p, c):
            store(acc, 0, f32(0.0))

            def load(k: Any, p: Any = p, c: Any = c) -> Any:
                return window.load(data, p, k, c, f32(0.0))

            _add_up(window, acc, load)
            count = T.Cast("float32", window.count(p, count_include_pad))
            store(out, p * window.channels + c, acc[0] / count)

    name = f"avg_pool_float32_{window.label}"
    return Kernel(name, prim_func(name, window.parameters("float32"), body), (), 0)


def _int8_average(window: Window, x: QParams, y: QParams, count_include_pad: bool) -> Kernel:
    """Dequantize, sum in the order of the window, divide, quantize: ONNX Runtime's own steps."""
    constants = (dequantized(x),)

    def body(data: Any, reals: Any, out: Any) -> None:
        acc = local(1, "float32")
        with T.grid(window.positions, window.channels) as (p, c):
            store(acc, 0, f32(0.0))

            def real(k: Any, p: Any = p, c: Any = c) -> Any:
                value = window.load(data, p, k, c, T.int8(x.zero_point))
                return reals[T.Cast("int32", value) + 128]

            _add_up(window, acc, real)
            mean = acc[0] / T.Cast("float32", window.count(p, count_include_pad))
            value = quantize_scalar(mean / f32(y.scale), y, (-128, 127))
            store(out, p * window.channels + c, value)

    name = f"avg_pool_int8_{window.label}"
    parameters = window.parameters("int8")
    parameters[1:1] = constant_parameters(constants)
    return Kernel(name, prim_func(name, parameters, body), constants, 0)


def _add_up(window: Window, acc: Any, load: Callable[[Any], Any]) -> None:
    """Add the taps of a window in ONNX Runtime's order, on which the last bit depends."""
    if window.is_flat or window.stride > _COLUMNS_FIRST:
        with T.serial(window.taps) as k:
            store(acc, 0, acc[0] + load(k))
        return
    column = local(1, "float32")
    with T.serial(window.kernel) as t:
        store(column, 0, f32(0.0))
        with T.serial(window.rows.kernel) as row:
            store(column, 0, column[0] + load(row * window.kernel + t))
        store(acc, 0, acc[0] + column[0])
