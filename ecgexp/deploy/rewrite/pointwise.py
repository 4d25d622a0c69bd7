"""Pooling, sums and products of tensors, concatenation, softmax."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from ecgexp.deploy.graph import element_count
from ecgexp.deploy.kernels import QParams, binary, concat, global_pool, pool, softmax
from ecgexp.deploy.kernels.conv_shape import ONE_ROW, Axis
from ecgexp.deploy.program import Buffer, Dtype
from ecgexp.deploy.rewrite.deferred import Deferred, Operand
from ecgexp.deploy.rewrite.materialise import Materialiser
from ecgexp.deploy.rewrite.value import Order, Padded, Real, Table, View, quantized, time_major


@dataclass(kw_only=True)
class Average(Deferred):
    """A mean over time, of everything or of windows.

    Attributes:
        x: Input.
        window: How windows move over time, or None for everything.
        count_include_pad: Whether padding counts in the divisor.
        rows: How they move over rows, where there are any.
    """

    x: Operand
    window: Axis | None
    count_include_pad: bool
    rows: Axis = ONE_ROW

    fuses_clip: ClassVar[bool] = False

    @property
    def operands(self) -> tuple[Operand, ...]:
        """The input."""
        return (self.x,)

    def _codes(self, materialiser: Materialiser, y: QParams) -> Buffer | None:
        assert isinstance(self.x, Table | Padded)
        held = materialiser.table(self.op, self.x)
        return self._build(materialiser, held, held.qparams, y)

    def _real(self, materialiser: Materialiser) -> Buffer:
        return self._build(materialiser, materialiser.real(self.op, self.x), None, None)

    def _build(
        self, materialiser: Materialiser, x: View, x_params: QParams | None, y: QParams | None
    ) -> Buffer:
        channels = x.shape[1]
        length = element_count(x.shape) // channels
        if self.window is None:
            kernel = global_pool.build(
                isa=materialiser.isa, kind="avg", length=length, channels=channels, x=x_params, y=y
            )
        else:
            kernel = pool.build(
                isa=materialiser.isa,
                kind="avg",
                length=self.window.length,
                channels=channels,
                kernel=self.window.kernel,
                stride=self.window.stride,
                pads=self.window.pads,
                x=x_params,
                y=y,
                count_include_pad=self.count_include_pad,
                rows=self.rows,
            )
        dtype: Dtype = "float32" if y is None else "int8"
        return self._emit(materialiser, kernel, dtype, materialiser.arrange(self.op, x))


@dataclass(kw_only=True)
class Binary(Deferred):
    """A sum or product of two tensors, the second one possibly constant over time.

    Attributes:
        kind: `add` or `mul`.
        a: The larger operand.
        b: The other one.
    """

    kind: Literal["add", "mul"]
    a: Operand
    b: Operand

    @property
    def operands(self) -> tuple[Operand, ...]:
        """Both operands."""
        return (self.a, self.b)

    def _order(self) -> Order:
        if isinstance(self.a, View) and isinstance(self.b, View) and self._same_layout():
            return self.a.order
        return time_major(self.op.shape)

    def _same_layout(self) -> bool:
        assert isinstance(self.a, View)
        assert isinstance(self.b, View)
        return np.array_equal(self.a.order, self.b.order)

    def _codes(self, materialiser: Materialiser, y: QParams) -> Buffer | None:
        assert isinstance(self.a, Table | Padded)
        assert isinstance(self.b, Table | Padded)
        a, b = materialiser.table(self.op, self.a), materialiser.table(self.op, self.b)
        return self._build(materialiser, a, b, (a.qparams, b.qparams, y))

    def _real(self, materialiser: Materialiser) -> Buffer:
        a, b = materialiser.real(self.op, self.a), materialiser.real(self.op, self.b)
        return self._build(materialiser, a, b, (None, None, None))

    def _build(
        self,
        materialiser: Materialiser,
        a: View,
        b: View,
        params: tuple[QParams | None, QParams | None, QParams | None],
    ) -> Buffer:
        order = self._order()
        channels = a.shape[1] if len(a.shape) > 2 else element_count(a.shape)
        size = element_count(a.shape)
        broadcast: Literal["none", "time", "scalar"] = "none"
        if b.shape != a.shape:
            broadcast = "scalar" if element_count(b.shape) == 1 else "time"
            if broadcast == "time" and (element_count(b.shape) != channels or b.shape[1] == 1):
                raise self.op.fail(
                    f"shapes {a.shape} and {b.shape}: only one number per channel can be broadcast"
                )
        if broadcast != "none":
            order = time_major(a.shape)
        y = params[2]
        kernel = binary.build(
            isa=materialiser.isa,
            op=self.kind,
            length=size // channels,
            channels=channels,
            broadcast=broadcast,
            a=params[0],
            b=params[1],
            y=y,
            clamp=self._real_clamp() if y is None else self._code_clamp(y),
        )
        places = order if broadcast == "none" else time_major(b.shape)
        inputs = (
            materialiser.arrange(self.op, a, order),
            materialiser.arrange(self.op, b, places),
        )
        return self._emit(materialiser, kernel, "float32" if y is None else "int8", *inputs)


@dataclass(kw_only=True)
class Concat(Deferred):
    """Tensors side by side along channels or time.

    Attributes:
        parts: Operands in order.
        axis: 1 for channels, 2 for time.
    """

    parts: tuple[Operand, ...]
    axis: int

    fuses_clip: ClassVar[bool] = False

    @property
    def operands(self) -> tuple[Operand, ...]:
        """All parts."""
        return self.parts

    def _codes(self, materialiser: Materialiser, y: QParams) -> Buffer | None:
        laid: list[View] = []
        for part in self.parts:
            table = materialiser.table(self.op, part) if isinstance(part, Padded) else part
            assert isinstance(table, Table)
            laid.append(materialiser.codes(self.op, quantized(table, y)))
        return self._build(materialiser, laid, "int8")

    def _real(self, materialiser: Materialiser) -> Buffer:
        laid: list[View] = [materialiser.real(self.op, part) for part in self.parts]
        return self._build(materialiser, laid, "float32")

    def _build(
        self, materialiser: Materialiser, parts: list[View], dtype: Literal["int8", "float32"]
    ) -> Buffer:
        sizes = [element_count(part.shape) for part in parts]
        length = sizes[0] // parts[0].shape[1] if self.axis == 1 and parts[0].order.ndim > 2 else 1
        kernel = concat.build(
            isa=materialiser.isa,
            length=length,
            channels=tuple(size // length for size in sizes),
            dtype=dtype,
        )
        inputs = [materialiser.arrange(self.op, part) for part in parts]
        return self._emit(materialiser, kernel, dtype, *inputs)


@dataclass(kw_only=True)
class Softmax(Deferred):
    """Class probabilities; always float32."""

    x: Operand

    fuses_clip: ClassVar[bool] = False

    @property
    def operands(self) -> tuple[Operand, ...]:
        """The input."""
        return (self.x,)

    def _is_quantized(self) -> bool:
        return False

    def _codes(self, materialiser: Materialiser, y: QParams) -> Buffer | None:
        return None

    def _real(self, materialiser: Materialiser) -> Buffer:
        real: Real = materialiser.real(self.op, self.x)
        natural = np.arange(real.order.size).reshape(real.shape)
        kernel = softmax.build(isa=materialiser.isa, n=real.order.size)
        source = materialiser.arrange(self.op, real, natural)
        return self._emit(materialiser, kernel, "float32", source)
