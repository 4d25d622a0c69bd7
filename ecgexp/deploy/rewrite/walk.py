"""State of one walk over a network, shared by the rules."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecgexp.deploy.graph import Network, Op
from ecgexp.deploy.kernels import QParams
from ecgexp.deploy.program import Buffer
from ecgexp.deploy.rewrite.deferred import Deferred
from ecgexp.deploy.rewrite.materialise import Materialiser
from ecgexp.deploy.rewrite.value import Codes, Padded, Real, Table

Array = NDArray[Any]
Value = Real | Table | Codes | Padded | Deferred


@dataclass(kw_only=True)
class Walk:
    """State of one walk over a network.

    Attributes:
        network: The network.
        materialiser: Emits kernels.
        input: float32 buffer of the input.
        border: int8 buffer that stands for the input, once a QuantizeLinear has been met.
        border_qparams: Its quantization.
    """

    network: Network
    materialiser: Materialiser
    input: Buffer
    border: Buffer | None = None
    border_qparams: QParams | None = None

    def settled(self, value: Value) -> Real | Table | Padded:
        """Return a value that other operators can read; deferred ones are computed in float32."""
        if isinstance(value, Deferred):
            return value.to_real(self.materialiser)
        assert not isinstance(value, Codes)
        return value

    def is_last_use(self, op: Op, position: int) -> bool:
        """Whether nothing but `op` reads its operand."""
        operand = op.inputs[position]
        return not isinstance(operand, np.ndarray) and self.network.uses(operand.name) == 1

    def unpadded(self, op: Op, value: Real | Table | Padded) -> Real | Table:
        """Return a value with its padding laid out in memory."""
        if not isinstance(value, Padded):
            return value
        if isinstance(value.inner, Table):
            return self.materialiser.table(op, value)
        return self.materialiser.real(op, value)
