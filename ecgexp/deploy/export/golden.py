"""Golden windows as C arrays: real inputs, and the outputs that the network must answer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecgexp.deploy import scalar
from ecgexp.deploy.emit import float_literal
from ecgexp.deploy.program import Program
from ecgexp.deploy.report import FLOAT_TOLERANCE
from ecgexp.errors import BuildError

_PER_LINE = 8


@dataclass(frozen=True, kw_only=True, slots=True)
class Golden:
    """Windows of a golden test.

    Attributes:
        inputs: (window, element) float32, in ONNX element order.
        outputs: (window, class) in the network's output type.
    """

    inputs: NDArray[np.float32]
    outputs: NDArray[Any]

    def words(self) -> dict[str, str]:
        """Return what the templates of the golden test leave open."""
        is_float = self.outputs.dtype == np.float32
        return {
            "n_golden": str(len(self.inputs)),
            "tolerance": float_literal(FLOAT_TOLERANCE),
            "inputs": _rows(self.inputs),
            "outputs": _rows(self.outputs),
            "equality": (
                f"to {FLOAT_TOLERANCE:g} of the largest output" if is_float else "bit for bit"
            ),
        }


def read_golden(path: Path, program: Program, n_golden: int) -> Golden:
    """Read the golden windows of a bundle.

    Args:
        path: `.npz` with `x` and `y`.
        program: The network.
        n_golden: Windows wanted.

    Raises:
        BuildError: There is none, or it does not fit the network.
    """
    try:
        with np.load(path) as arrays:
            x, y = arrays["x"][:n_golden], arrays["y"][:n_golden]
    except (OSError, KeyError, ValueError) as error:
        raise BuildError(f"{path} has no golden windows x and y: {error}") from error
    if len(x) == 0 or x[0].size != program.input.elements:
        raise BuildError(
            f"{path}: {len(x)} golden windows of {x.shape[1:]} do not fit the network's "
            f"{program.input.elements} inputs"
        )
    inputs = np.ascontiguousarray(x, np.float32).reshape(len(x), -1)
    return Golden(inputs=inputs, outputs=_codes(y.astype(np.float32), program))


def _codes(y: NDArray[np.float32], program: Program) -> NDArray[Any]:
    q = program.output_qparams
    if q is None:
        return y
    codes = scalar.quantize(y, q.scale, q.zero_point)
    if not np.array_equal(scalar.dequantize(codes, q.scale, q.zero_point), y):
        raise BuildError("the golden outputs are not multiples of the network's output scale")
    return codes


def _rows(array: NDArray[Any]) -> str:
    write = float_literal if array.dtype == np.float32 else str
    rows = []
    for window in array.tolist():
        numbers = [write(number) for number in window]
        lines = [", ".join(numbers[i : i + _PER_LINE]) for i in range(0, len(numbers), _PER_LINE)]
        rows.append("    {" + ",\n     ".join(lines) + "}")
    return ",\n".join(rows)
