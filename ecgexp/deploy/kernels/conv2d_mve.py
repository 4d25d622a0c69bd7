"""Dense and grouped int8 convolution in two dimensions, for Helium.

Each row of the result is a one-dimensional convolution whose windows are runs of several input
rows. Positions whose windows leave the input, and those at its end whose last load would, go the
slower way of masked loads.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ecgexp.deploy.kernels import conv1d_mve
from ecgexp.deploy.kernels.conv_schedule import Schedule
from ecgexp.deploy.kernels.conv_shape import ConvShape
from ecgexp.deploy.kernels.ir import T, i32, local, store
from ecgexp.deploy.kernels.kernel import Kernel
from ecgexp.deploy.kernels.weights import Integers

_LANES = 16


def build(shape: ConvShape, layer: Integers) -> Kernel:
    """Build the kernel; arguments as for `conv1d_mve.build`."""
    return conv1d_mve.build_with(_RowTile, shape, layer)


class _RowTile(conv1d_mve.Tile):
    """Emits the loops of one convolution, row by row."""

    def __init__(self, shape: ConvShape, layer: Integers, schedule: Schedule) -> None:
        super().__init__(shape, layer, schedule)
        self.has_border = (self.last - self.first) * self._rows_inside < shape.positions
        self.row: Any = None
        self.inside: Any = None

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
            self._note_rows()
            if not inside:
                with T.serial(width) as i:
                    tile([i])
                return
            among = T.Bind(T.And(row >= self.first_row, row < self.last_row))
            with T.serial(T.if_then_else(among, i32(width - inside), i32(width))) as i:
                skips = T.And(among, i >= self.first)
                tile([T.Bind(T.if_then_else(skips, i + i32(inside), i))])

    def _note_rows(self) -> None:
        """Keep which rows of the window lie in the input, for an unrolled list of its chunks."""
        if self.plan.loops > 1:
            return
        self.inside = local(self.shape.rows.kernel, "int32")
        for row in range(self.shape.rows.kernel):
            store(self.inside, row, self._is_inside(i32(row)))

    def _is_inside(self, row: Any) -> Any:
        at = self.row + row * i32(self.shape.rows.dilation)
        return T.Cast("int32", T.And(at >= 0, at < self.shape.rows.length))

    def _row_inside(self, row: Any) -> Any:
        return self._is_inside(row) if self.plan.loops > 1 else self.inside[row]
