"""Constant padding along time and channels, time-major."""

from __future__ import annotations

from typing import Any

from ecgexp.deploy.kernels.ir import Parameter, T, f32, prim_func, store
from ecgexp.deploy.kernels.kernel import Isa, Kernel, check_isa


def build(
    *,
    isa: Isa,
    length: int,
    channels: int,
    time_pads: tuple[int, int],
    channel_pads: tuple[int, int],
    value: float,
    dtype: str,
) -> Kernel:
    """Build a (length, channels) buffer with constant borders.

    Args:
        isa: Instruction set to write for.
        length: Input samples.
        channels: Input channels.
        time_pads: Samples added before and after.
        channel_pads: Channels added before and after.
        value: What the border holds, in the units of `dtype`.
        dtype: `int8` or `float32`.
    """
    check_isa(isa)
    length_out = length + sum(time_pads)
    channels_out = channels + sum(channel_pads)
    border = T.int8(int(value)) if dtype == "int8" else f32(value)

    def body(data: Any, out: Any) -> None:
        with T.serial(length_out * channels_out) as i:
            store(out, i, border)
        with T.grid(length, channels) as (t, c):
            index = (t + time_pads[0]) * channels_out + channel_pads[0] + c
            store(out, index, data[t * channels + c])

    name = (
        f"pad_{dtype}_l{length}c{channels}t{time_pads[0]}_{time_pads[1]}"
        f"c{channel_pads[0]}_{channel_pads[1]}"
    )
    parameters = [
        Parameter("data", length * channels, dtype),
        Parameter("out", length_out * channels_out, dtype),
    ]
    return Kernel(name, prim_func(name, parameters, body), (), 0)
