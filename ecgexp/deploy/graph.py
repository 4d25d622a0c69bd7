"""A network as a flat list of named operators, as read from the imported Relax function."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecgexp.errors import BuildError


@dataclass(frozen=True, kw_only=True, slots=True)
class Ref:
    """A use of an earlier result, by its Relax name."""

    name: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Op:
    """One operator of the imported network.

    Attributes:
        kind: Relax operator without the `relax.` prefix, for example `nn.conv1d`.
        name: Name of the result.
        inputs: Earlier results or constants.
        attrs: Attributes as plain Python values.
        shape: Shape of the result, batch first.
        dtype: Element type of the result.
        origin: ONNX operator and node name where known, for messages.
    """

    kind: str
    name: str
    inputs: tuple[Ref | NDArray[Any], ...]
    attrs: Mapping[str, Any]
    shape: tuple[int, ...]
    dtype: str
    origin: str

    def fail(self, reason: str) -> BuildError:
        """Return the error that says why this operator cannot be compiled."""
        return BuildError(f"operator {self.kind} ({self.origin or self.name}): {reason}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Network:
    """A classifier with one input and one output.

    Attributes:
        input_name: Relax name of the input.
        input_shape: (1, lead, sample), (1, channel, row, column) or (1, feature).
        output: The result that leaves the network.
        output_shape: (1, class).
        ops: Operators in executable order.
    """

    input_name: str
    input_shape: tuple[int, ...]
    output: Ref
    output_shape: tuple[int, ...]
    ops: tuple[Op, ...]
    _uses: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for op in self.ops:
            for operand in op.inputs:
                if isinstance(operand, Ref):
                    self._uses[operand.name] = self._uses.get(operand.name, 0) + 1
        self._uses[self.output.name] = self._uses.get(self.output.name, 0) + 1

    def uses(self, name: str) -> int:
        """Return how often the result `name` is read, the network's output included."""
        return self._uses.get(name, 0)


def element_count(shape: tuple[int, ...]) -> int:
    """Return the number of elements of a tensor."""
    return int(np.prod(shape, dtype=np.int64))
