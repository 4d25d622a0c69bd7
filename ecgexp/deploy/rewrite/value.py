"""What the rewrite knows about a tensor before, or instead of, computing it.

The device keeps signals time-major, (sample, channel), while ONNX counts channels first. Every
tensor in memory therefore carries the place of each of its elements, so that reshapes, transposes
and flattenings cost nothing: only an operator that needs a certain layout looks at it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecgexp.deploy import scalar
from ecgexp.deploy.graph import element_count
from ecgexp.deploy.kernels import QParams
from ecgexp.deploy.program import Buffer

Order = NDArray[np.int64]
Move = Callable[[Order], Order]


@dataclass(frozen=True, kw_only=True, slots=True)
class View:
    """A tensor whose element i, counted row-major, lies at `order[i]` of a buffer.

    Attributes:
        buffer: Where the elements lie.
        order: Shape of the tensor; place of each element.
    """

    buffer: Buffer
    order: Order

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape as ONNX counts it."""
        return self.order.shape


@dataclass(frozen=True, kw_only=True, slots=True)
class Stage:
    """One scalar function of a formula.

    Attributes:
        kind: An operator of `kernels.unary`, or `scale` (times alpha), `offset` (plus alpha),
            `erf`, or `times_base` (times what the formula started from).
        alpha: Factor, summand, slope, or lower end of `clip`.
        beta: Offset of `hard_sigmoid`, or upper end of `clip`.
    """

    kind: str
    alpha: float = 0.0
    beta: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Real(View):
    """Scalar functions, not computed yet, of a float32 buffer."""

    formula: tuple[Stage, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Table(View):
    """Real numbers that are a function of an int8 buffer.

    Attributes:
        values: float32 (256,), the real number of each code from -128 to 127.
        codes: int8 (256,), the codes that stand for those numbers under `qparams`; None where
            the numbers were not quantized.
        qparams: Quantization of `codes`.
    """

    values: NDArray[np.float32]
    codes: NDArray[np.int8] | None
    qparams: QParams | None

    @property
    def is_stored(self) -> bool:
        """Whether the buffer holds `codes` as they are."""
        return self.codes is not None and bool(np.array_equal(self.codes, scalar.CODES))

    @property
    def is_monotone(self) -> bool:
        """Whether a larger code never stands for a smaller number."""
        return bool(np.all(np.diff(self.values) >= 0))


@dataclass(frozen=True, kw_only=True, slots=True)
class Codes(View):
    """Quantized codes that are a function of an int8 buffer.

    Attributes:
        codes: int8 (256,), the code of each value from -128 to 127 in the buffer.
    """

    codes: NDArray[np.int8]


@dataclass(frozen=True, kw_only=True, slots=True)
class Padded:
    """A tensor of rank 3 with a constant before and after its last axis.

    Attributes:
        inner: The tensor.
        pads: Elements before and after.
        fill: The constant: a real number, or a code where `inner` holds codes.
    """

    inner: Real | Table | Codes
    pads: tuple[int, int]
    fill: float

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape with the padding."""
        *rest, length = self.inner.shape
        return (*rest, length + sum(self.pads))


def time_major(shape: tuple[int, ...]) -> Order:
    """Return the order of a tensor (1, channel, ...sample) that lies as (sample, channel)."""
    if len(shape) < 3:
        return np.arange(element_count(shape)).reshape(shape)
    channels = shape[1]
    length = element_count(shape) // channels
    return np.ascontiguousarray(np.arange(channels * length).reshape(length, channels).T).reshape(
        shape
    )


def moved(view: View, move: Move) -> Any:
    """Return the view with its elements renamed; nothing moves in memory."""
    return replace(view, order=move(view.order))


def stored(buffer: Buffer, order: Order, qparams: QParams) -> Table:
    """Return the dequantized view of an int8 buffer."""
    return Table(
        buffer=buffer,
        order=order,
        values=scalar.dequantize(scalar.CODES, qparams.scale, qparams.zero_point),
        codes=scalar.CODES.astype(np.int8),
        qparams=qparams,
    )


def raw(buffer: Buffer, order: Order) -> Codes:
    """Return the codes of an int8 buffer as they are."""
    return Codes(buffer=buffer, order=order, codes=scalar.CODES.astype(np.int8))


def quantized(value: Table, qparams: QParams) -> Codes:
    """Quantize a function of an int8 buffer; still nothing is computed."""
    codes = scalar.quantize(value.values, qparams.scale, qparams.zero_point)
    return Codes(buffer=value.buffer, order=value.order, codes=codes)


def dequantized(value: Codes, qparams: QParams) -> Table:
    """Dequantize codes."""
    return Table(
        buffer=value.buffer,
        order=value.order,
        values=scalar.dequantize(value.codes, qparams.scale, qparams.zero_point),
        codes=value.codes,
        qparams=qparams,
    )
