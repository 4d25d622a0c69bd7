"""Dense and grouped int8 convolution in two dimensions, for Helium.

Each row of the result is a one-dimensional convolution whose windows are runs of several input
rows. Positions whose windows leave the input, and those at its end whose last load would, go the
slower way of masked loads.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ecgexp.deploy.kernels import conv1d_mve
from ecgexp.deploy.kernels.conv_shape import ConvShape
from ecgexp.deploy.kernels.ir import (
    Parameter,
    T,
    constant_parameters,
    i32,
    prim_func,
)
from ecgexp.deploy.kernels.kernel import Kernel, QParams

Array = np.ndarray[Any, Any]
_LANES = 16


def build(
    shape: ConvShape,
    weight: Array,
    bias: Array,
    scale: Array,
    *,
    x: QParams,
    y: QParams,
    limits: tuple[int, int],
) -> Kernel:
    """Build the kernel.

    Args:
        shape: Geometry.
        weight: (c_out, c_in / groups, tap) int8, the taps of a window row by row.
        bias: (c_out,) int32 with the input's zero point folded in.
        scale: (c_out,) float32 requantization multipliers.
        x: Quantization of the input.
        y: Quantization of the output.
        limits: Smallest and largest output value.
    """
    constants = conv1d_mve.pack(shape, weight, bias, scale)
    tile = _RowTile(shape, x, y, limits)
    parameters = [
        Parameter("data", shape.size, "int8"),
        *constant_parameters(constants),
        Parameter("out", shape.positions * shape.c_out, "int8"),
    ]
    name = f"{shape.kind}_int8_{shape.label}"
    return Kernel(name, prim_func(name, parameters, tile.body), constants, shape.macs)


class _RowTile(conv1d_mve.Tile):
    """Emits the loops of one convolution, row by row."""

    def __init__(self, shape: ConvShape, x: QParams, y: QParams, limits: tuple[int, int]) -> None:
        super().__init__(shape, x, y, limits)
        self.has_border = (self.last - self.first) * self._rows_inside < shape.positions
        self.row: Any = None

    def _interior(self) -> tuple[int, int]:
        """Return the positions of a row, and note the rows, whose loads stay inside the input."""
        shape, rows, runs = self.shape, self.shape.rows, self.runs
        first, last = shape.interior
        self.first_row, self.last_row = rows.interior
        reach = runs.offset(runs.count - 1) + runs.chunks * _LANES
        reach += shape.c_in - shape.group_in if shape.groups > 1 else 0
        furthest = ((last - 1) * shape.stride - shape.pads[0]) * shape.c_in + reach
        while self.last_row > self.first_row:
            row = (self.last_row - 1) * rows.stride - rows.pads[0]
            if row * shape.length * shape.c_in + furthest <= shape.size:
                break
            self.last_row -= 1
        return (first, last) if last > first and self.last_row > self.first_row else (0, 0)

    @property
    def _rows_inside(self) -> int:
        return self.last_row - self.first_row

    def _enter(self, row: Any) -> None:
        """Go to a row of the result."""
        shape = self.shape
        self.row = T.Bind(row * i32(shape.rows.stride) - i32(shape.rows.pads[0]))
        self.row_in = T.Bind(self.row * i32(shape.length * shape.c_in))
        self.row_out = T.Bind(row * i32(shape.length_out * shape.c_out))

    def _tiles_inside(self, step: int, tile: Callable[[list[Any]], None]) -> None:
        with T.serial(self._rows_inside) as i:
            self._enter(i + i32(self.first_row))
            super()._tiles_inside(step, tile)

    def _tiles_at_border(self, tile: Callable[[list[Any]], None]) -> None:
        inside, width = self.last - self.first, self.shape.length_out
        with T.serial(self.shape.rows.length_out) as row:
            self._enter(row)
            if not inside:
                with T.serial(width) as i:
                    tile([i])
                return
            among = T.Bind(T.And(row >= self.first_row, row < self.last_row))
            with T.serial(T.if_then_else(among, i32(width - inside), i32(width))) as i:
                skips = T.And(among, i >= self.first)
                tile([T.Bind(T.if_then_else(skips, i + i32(inside), i))])

    def _row_inside(self, row: Any) -> Any:
        at = self.row + row * i32(self.shape.rows.dilation)
        return T.And(at >= 0, at < self.shape.rows.length)
