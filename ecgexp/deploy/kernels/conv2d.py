"""Convolution in two dimensions, rows of samples of channels."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ecgexp.deploy.kernels import conv1d
from ecgexp.deploy.kernels.conv_shape import ONE_ROW, Axis, ConvShape
from ecgexp.deploy.kernels.kernel import Clamp, Isa, Kernel, QParams

Array = np.ndarray[Any, Any]


def build(  # noqa: PLR0913
    *,
    isa: Isa,
    rows: Axis,
    columns: Axis,
    c_in: int,
    c_out: int,
    groups: int,
    weight: Array,
    bias: Array | None,
    x: QParams | None,
    w_scale: Array | None,
    y: QParams | None,
    clamp: Clamp | None,
) -> Kernel:
    """Build a convolution over a (row, column, c_in) buffer.

    Args:
        isa: Instruction set to write for.
        rows: How windows move over rows.
        columns: How windows move over columns.
        c_in: Input channels.
        c_out: Output channels.
        groups: Channel groups; `groups == c_in == c_out` is a depthwise convolution.
        weight: (c_out, c_in / groups, kernel row, kernel column), int8 or float32.
        bias: (c_out,), int32 or float32, or None.
        x: Quantization of the input; None for float32.
        w_scale: (c_out,) float32 weight scales; None for float32.
        y: Quantization of the output; None for float32.
        clamp: Fused activation range, in int8 units or real numbers.

    Raises:
        BuildError: The shapes do not fit together or an int32 sum can overflow.
    """
    if all(a.kernel == a.stride == 1 and not any(a.pads) for a in (rows, columns)):
        # Nothing looks beyond one sample, so all rows are one.
        columns = replace(columns, length=rows.length * columns.length)
        rows = ONE_ROW
    shape = ConvShape(
        length=columns.length,
        kernel=columns.kernel,
        stride=columns.stride,
        dilation=columns.dilation,
        pads=columns.pads,
        c_in=c_in,
        c_out=c_out,
        groups=groups,
        rows=rows,
    )
    return conv1d.build_shape(
        isa=isa,
        shape=shape,
        weight=weight.reshape(*weight.shape[:2], -1),
        bias=bias,
        x=x,
        w_scale=w_scale,
        y=y,
        clamp=clamp,
    )
