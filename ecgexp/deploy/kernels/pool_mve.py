"""int8 pooling for Helium: lanes along channels."""

from __future__ import annotations

from typing import Any

from ecgexp.deploy.kernels import helium
from ecgexp.deploy.kernels.ir import T, f32, i32, local, ramp, store
from ecgexp.deploy.kernels.kernel import QParams
from ecgexp.deploy.kernels.window import Window

_UNROLLED_TAPS = 8


def max_body(window: Window) -> Any:
    """Return the emitter of a max pooling of at least four channels.

    The last vector of a row overlaps the one before where channels do not fill it.
    """
    lanes = next(n for n in (16, 8, 4) if n <= window.channels)
    dtype = {16: "int8x16", 8: "int16x8", 4: "int32x4"}[lanes]

    def load(data: Any, t: Any, c: Any) -> Any:
        values = data[ramp(t * window.channels + c, lanes)]
        return values if lanes == 16 else T.Cast(dtype, values)

    def position(data: Any, out: Any, p: Any, c: Any, border: bool) -> None:
        start = p * window.stride - i32(window.pads[0])
        best = local(lanes, dtype.split("x")[0])
        every = ramp(i32(0), lanes)
        if border or window.kernel > _UNROLLED_TAPS:
            first = T.Bind(T.max(start, i32(0)))
            end = T.min(start + i32(window.kernel), i32(window.length))
            store(best, every, load(data, first, c))
            with T.serial(end - first - 1) as k:
                store(best, every, T.max(best[every], load(data, first + 1 + k, c)))
        else:
            store(best, every, load(data, start, c))
            for k in range(1, window.kernel):
                store(best, every, T.max(best[every], load(data, start + k, c)))
        values = best[every] if lanes == 16 else T.Cast(f"int8x{lanes}", best[every])
        store(out, ramp(p * window.channels + c, lanes), values)

    def body(data: Any, out: Any) -> None:
        full, tail = divmod(window.channels, lanes)
        columns = [(full, i32(0))] + ([(1, i32(window.channels - lanes))] if tail else [])
        for count, offset in columns:
            for first, end, border in window.stretches():
                with T.serial(end - first) as i, T.serial(count) as block:
                    position(data, out, i + i32(first), block * lanes + offset, border)

    return body


def mean_body(length: int, channels: int, x: QParams, y: QParams, factor: float) -> Any:
    """Return the emitter of a mean over time of int8, for at least four channels.

    Args:
        length: Samples.
        channels: Channels.
        x: Quantization of the input.
        y: Quantization of the output.
        factor: Output steps per unit of the sum.
    """
    lanes = 4

    def body(data: Any, out: Any) -> None:
        acc = local(lanes, "int32")
        every = ramp(i32(0), lanes)
        full, tail = divmod(channels, lanes)
        columns = [(full, i32(0))] + ([(1, i32(channels - lanes))] if tail else [])
        for count, offset in columns:
            with T.serial(count) as block:
                c = block * lanes + offset
                store(acc, every, helium.splat(i32(-length * x.zero_point), lanes))
                with T.serial(length) as t:
                    row = T.Cast("int32x4", data[ramp(t * channels + c, lanes)])
                    store(acc, every, acc[every] + row)
                scale = helium.splat(f32(factor), lanes)
                values = helium.requantize(acc[every], scale, y, (-128, 127))
                store(out, ramp(c, lanes), values)

    return body
