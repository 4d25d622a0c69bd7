"""Operators that wait for what follows them: a bias, an activation, a quantization.

Only then is it known whether they run on integers or on float32 numbers.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np

from ecgexp.deploy import scalar
from ecgexp.deploy.graph import Op, element_count
from ecgexp.deploy.kernels import Kernel, QParams
from ecgexp.deploy.program import Buffer, Dtype
from ecgexp.deploy.rewrite.materialise import Materialiser
from ecgexp.deploy.rewrite.value import (
    Codes,
    Move,
    Order,
    Padded,
    Real,
    Stage,
    Table,
    raw,
    time_major,
)

Operand = Real | Table | Padded


@dataclass(kw_only=True)
class Deferred(ABC):
    """An operator without a place in memory yet.

    Attributes:
        op: The operator.
        low: Lower end of a fused activation.
        high: Upper end of a fused activation.
        moves: Changes of shape that follow.
    """

    op: Op
    low: float = -np.inf
    high: float = np.inf
    moves: tuple[Move, ...] = ()
    _results: dict[QParams | None, Codes | Real] = field(default_factory=dict)

    fuses_clip: ClassVar[bool] = True

    def clipped(self, low: float, high: float) -> Deferred:
        """Return the operator followed by a clip."""
        low, high = max(self.low, low), min(self.high, high)
        return replace(self, low=low, high=max(low, high), _results={})

    def moved(self, move: Move) -> Deferred:
        """Return the operator followed by a change of shape."""
        return replace(self, moves=(*self.moves, move), _results={})

    def to_codes(self, materialiser: Materialiser, y: QParams) -> Codes:
        """Compute the quantized result, on integers where the operands are quantized."""
        if y not in self._results:
            built = self._codes(materialiser, y) if self._is_quantized() else None
            if built is None:
                real = self.to_real(materialiser)
                self._results[y] = materialiser.quantize(self.op, real, y)
            else:
                self._results[y] = self._clip_codes(raw(built, self._apply_moves()), y)
        result = self._results[y]
        assert isinstance(result, Codes)
        return result

    def to_real(self, materialiser: Materialiser) -> Real:
        """Compute the result on float32 numbers."""
        if None not in self._results:
            buffer = self._real(materialiser)
            clamp = None if self.fuses_clip else self._real_clamp()
            stages = () if clamp is None else (Stage(kind="clip", alpha=clamp[0], beta=clamp[1]),)
            self._results[None] = Real(buffer=buffer, order=self._apply_moves(), formula=stages)
        result = self._results[None]
        assert isinstance(result, Real)
        return result

    @property
    def is_real(self) -> bool:
        """Whether the result has been computed on float32 numbers."""
        return None in self._results

    @property
    @abstractmethod
    def operands(self) -> tuple[Operand, ...]:
        """The values that the operator reads."""

    @abstractmethod
    def _codes(self, materialiser: Materialiser, y: QParams) -> Buffer | None:
        """Emit the integer kernel; None where the constants rule it out."""

    @abstractmethod
    def _real(self, materialiser: Materialiser) -> Buffer:
        """Emit the float32 kernel."""

    def _order(self) -> Order:
        return time_major(self.op.shape)

    def _apply_moves(self) -> Order:
        order = self._order()
        for move in self.moves:
            order = move(order)
        return order

    def _is_quantized(self) -> bool:
        inner = (plain(operand) for operand in self.operands)
        return all(isinstance(o, Table) and o.codes is not None for o in inner)

    def _clip_codes(self, codes: Codes, y: QParams) -> Codes:
        clamp = None if self.fuses_clip else self._code_clamp(y)
        return codes if clamp is None else replace(codes, codes=np.clip(codes.codes, *clamp))

    def _real_clamp(self) -> tuple[float, float] | None:
        if self.low == -np.inf and self.high == np.inf:
            return None
        return self.low, self.high

    def _code_clamp(self, y: QParams) -> tuple[int, int] | None:
        ends = np.array([self.low, self.high], np.float32)
        low, high = (int(v) for v in scalar.quantize(ends, y.scale, y.zero_point))
        return None if (low, high) == (-128, 127) else (low, high)

    def _emit(
        self, materialiser: Materialiser, kernel: Kernel, dtype: Dtype, *inputs: Buffer
    ) -> Buffer:
        out = materialiser.output(element_count(self.op.shape), dtype)
        materialiser.program.call(kernel, inputs, out, self.op.origin or self.op.name)
        return out


def plain(value: Operand) -> Real | Table:
    """Return the value below a padding."""
    return value.inner if isinstance(value, Padded) else value  # type: ignore[return-value]
