"""Pooling for Helium: lanes along channels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ecgexp.deploy.kernels import helium
from ecgexp.deploy.kernels.ir import T, f32, i32, local, ramp, store
from ecgexp.deploy.kernels.kernel import QParams
from ecgexp.deploy.kernels.window import Window

_UNROLLED_TAPS = 8
# Rows of int8 whose sum fits an int16.
_INT16_ROWS = 255


def max_body(window: Window, dtype: str) -> Any:
    """Return the emitter of an int8 or float32 max pooling of at least four channels.

    The last vector of a row overlaps the one before where channels do not fill it.
    """
    wide = 16 if dtype == "int8" else 4
    lanes = next(n for n in (16, 8, 4) if n <= min(window.channels, wide))
    # Fewer int8 lanes than a vector has are widened by the load and narrowed by the store.
    element = dtype if lanes == wide else {8: "int16", 4: "int32"}[lanes]

    def load(data: Any, t: Any, c: Any) -> Any:
        values = data[ramp(t * window.channels + c, lanes)]
        return values if lanes == wide else T.Cast(f"{element}x{lanes}", values)

    every = ramp(i32(0), lanes)

    def position(data: Any, out: Any, row: Any, p: Any, c: Any, border: bool) -> None:
        start = p * window.stride - i32(window.pads[0])
        best = local(lanes, element)
        if not window.is_flat:
            lowest = -128 if dtype == "int8" else float(np.finfo(np.float32).min)
            store(best, every, helium.splat(T.Cast(element, f32(lowest)), lanes))

            def compare(t: Any) -> None:
                store(best, every, T.max(best[every], load(data, t, c)))

            _each_tap(window, row, start, border, compare)
        elif border or window.kernel > _UNROLLED_TAPS:
            first = T.Bind(T.max(start, i32(0)))
            end = T.min(start + i32(window.kernel), i32(window.length))
            store(best, every, load(data, first, c))
            with T.serial(end - first - 1) as k:
                store(best, every, T.max(best[every], load(data, first + 1 + k, c)))
        else:
            store(best, every, load(data, start, c))
            for k in range(1, window.kernel):
                store(best, every, T.max(best[every], load(data, start + k, c)))
        values = best[every] if lanes == wide else T.Cast(f"int8x{lanes}", best[every])
        place = row * window.length_out + p
        store(out, ramp(place * window.channels + c, lanes), values)

    def of_row(data: Any, out: Any, row: Any) -> None:
        full, tail = divmod(window.channels, lanes)
        columns = [(full, i32(0))] + ([(1, i32(window.channels - lanes))] if tail else [])
        for count, offset in columns:
            for first, end, border in window.stretches():
                with T.serial(end - first) as i, T.serial(count) as block:
                    position(data, out, row, i + i32(first), block * lanes + offset, border)

    def body(data: Any, out: Any) -> None:
        if window.is_flat:
            of_row(data, out, i32(0))
        else:
            with T.serial(window.rows.length_out) as row:
                of_row(data, out, row)

    return body


def _each_tap(
    window: Window, row: Any, start: Any, border: bool, visit: Callable[[Any], None]
) -> None:
    """Visit the input samples, counted row by row, of a window with rows."""
    line = row * window.rows.stride - i32(window.rows.pads[0])
    first_row = T.Bind(T.max(line, i32(0)))
    end_row = T.min(line + i32(window.rows.kernel), i32(window.rows.length))
    first = T.max(start, i32(0)) if border else start
    end = T.min(start + i32(window.kernel), i32(window.length))
    with T.serial(end_row - first_row) as i:
        origin = T.Bind((first_row + i) * window.length + first)
        if border or window.kernel > _UNROLLED_TAPS:
            with T.serial(end - first) as k:
                visit(origin + k)
        else:
            for k in range(window.kernel):
                visit(origin + k)


def mean_body(window: Window, x: QParams, y: QParams, factor: float) -> Any:
    """Return the emitter of int8 means over windows without padding, for eight channels or more.

    Args:
        window: Geometry.
        x: Quantization of the input.
        y: Quantization of the output.
        factor: Output steps per unit of the sum.
    """
    lanes, channels, rows = 8, window.channels, window.rows

    def sample(p: Any, k: Any) -> Any:
        """Return the input sample under tap k, counted row by row, of position p."""
        if window.is_flat:
            return p * window.stride + k
        row, column = T.floordiv(p, window.length_out), T.floormod(p, window.length_out)
        line, t = T.floordiv(k, window.kernel), T.floormod(k, window.kernel)
        return (row * rows.stride + line) * window.length + column * window.stride + t

    def column(data: Any, out: Any, p: Any, c: Any) -> None:
        sums = local(lanes, "int32")
        halves = [ramp(i32(0), 4), ramp(i32(4), 4)]
        for half in halves:
            store(sums, half, helium.splat(i32(-window.taps * x.zero_point), 4))
        for first in range(0, window.taps, _INT16_ROWS):
            partial = local(lanes, "int16")
            every = ramp(i32(0), lanes)
            store(partial, every, helium.splat(T.int16(0), lanes))
            with T.serial(min(_INT16_ROWS, window.taps - first)) as k:
                row = data[ramp(sample(p, k + i32(first)) * channels + c, lanes)]
                store(partial, every, partial[every] + T.Cast("int16x8", row))
            narrow = T.Bind(partial[every])
            for top, half in enumerate(halves):
                store(sums, half, sums[half] + helium.widen_half(narrow, top))
        scale = helium.splat(f32(factor), 4)
        even, odd = (T.Cast("float32x4", sums[half]) * scale for half in halves)
        values = helium.quantize_pair(even, odd, y, (-128, 127))
        store(out, ramp(p * channels + c, lanes), values)

    return _columns(window.positions, channels, lanes, column)


def float_mean_body(length: int, channels: int) -> Any:
    """Return the emitter of a mean over time of float32, for at least four channels."""
    lanes = 4

    def column(data: Any, out: Any, _: Any, c: Any) -> None:
        acc, every = local(lanes, "float32"), ramp(i32(0), lanes)
        store(acc, every, helium.splat(f32(0.0), lanes))
        with T.serial(length) as t:
            store(acc, every, acc[every] + data[ramp(t * channels + c, lanes)])
        store(out, ramp(c, lanes), acc[every] * helium.splat(f32(1.0 / length), lanes))

    return _columns(1, channels, lanes, column)


def _columns(
    length: int, channels: int, lanes: int, column: Callable[[Any, Any, Any, Any], None]
) -> Any:
    """Return an emitter over positions and vectors of channels; the last vector overlaps."""

    def body(data: Any, out: Any) -> None:
        full, tail = divmod(channels, lanes)
        with T.serial(length) as p:
            with T.serial(full) as block:
                column(data, out, p, block * lanes)
            if tail:
                column(data, out, p, i32(channels - lanes))

    return body
