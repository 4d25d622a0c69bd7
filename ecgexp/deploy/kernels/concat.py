"""Concatenation along channels or time, copying and padding."""

from __future__ import annotations

from typing import Any

from ecgexp.deploy.kernels.ir import Parameter, T, prim_func, store
from ecgexp.deploy.kernels.kernel import Isa, Kernel, check_isa


def build(*, isa: Isa, length: int, channels: tuple[int, ...], dtype: str) -> Kernel:
    """Build a concatenation of (length, channels[i]) buffers along channels.

    Concatenation along time is this with `length` 1 and whole tensors as channels; all operands
    and the output have one quantization.

    Args:
        isa: Instruction set to write for.
        length: Samples.
        channels: Channels of each operand.
        dtype: `int8` or `float32`.
    """
    check_isa(isa)
    total = sum(channels)

    def body(*buffers: Any) -> None:
        out = buffers[-1]
        start = 0
        for data, width in zip(buffers[:-1], channels, strict=True):
            with T.grid(length, width) as (t, c):
                store(out, t * total + start + c, data[t * width + c])
            start += width

    parameters = [
        Parameter(f"data{index}", length * width, dtype) for index, width in enumerate(channels)
    ]
    parameters.append(Parameter("out", length * total, dtype))
    name = f"concat_{dtype}_l{length}c" + "_".join(str(width) for width in channels)
    return Kernel(name, prim_func(name, parameters, body), (), 0)


def build_copy(*, isa: Isa, n: int, dtype: str) -> Kernel:
    """Build out = data over n elements."""
    return build(isa=isa, length=1, channels=(n,), dtype=dtype)
