"""Concatenation along channels or time, copying and padding."""

from __future__ import annotations

from typing import Any

from ecgexp.deploy.kernels.ir import Parameter, T, i32, prim_func, ramp, store
from ecgexp.deploy.kernels.kernel import Isa, Kernel, check_isa

_VECTORS = {"int8": (16, 8, 4), "float32": (4,)}


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
            lanes = next((n for n in _VECTORS[dtype] if n <= width), 1) if isa == "mve" else 1
            with T.serial(length) as t:
                for first, count in ((0, width // lanes), (width - lanes, int(width % lanes > 0))):
                    with T.serial(count) as block:
                        c = block * lanes + i32(first)
                        values = data[_vector(t * width + c, lanes)]
                        store(out, _vector(t * total + start + c, lanes), values)
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


def _vector(base: Any, lanes: int) -> Any:
    return ramp(base, lanes) if lanes > 1 else base
