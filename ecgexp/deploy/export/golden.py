"""Golden windows as C arrays: real inputs, and the outputs that the network may answer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecgexp.deploy import scalar
from ecgexp.deploy.emit import float_literal
from ecgexp.deploy.golden import FLOAT_TOLERANCE, read_golden
from ecgexp.deploy.program import Program
from ecgexp.errors import BuildError

_PER_LINE = 8


@dataclass(frozen=True, kw_only=True, slots=True)
class GoldenArrays:
    """Windows of a golden test.

    Attributes:
        inputs: (window, element) float32, in ONNX element order.
        answers: (window, answer, class) in the network's output type. One answer is right; there
            are two where ONNX Runtime itself has two, see `ecgexp.deploy.golden.Golden`.
    """

    inputs: NDArray[np.float32]
    answers: NDArray[Any]

    def words(self) -> dict[str, str]:
        """Return what the templates of the golden test leave open."""
        is_float = self.answers.dtype == np.float32
        return {
            "n_golden": str(len(self.inputs)),
            "n_answers": str(self.answers.shape[1]),
            "tolerance": float_literal(FLOAT_TOLERANCE),
            "inputs": _braces(self.inputs, 1),
            "outputs": _braces(self.answers, 1),
            "equality": (
                f"to {FLOAT_TOLERANCE:g} of the largest output" if is_float else "bit for bit"
            ),
        }


def golden_arrays(path: Path, program: Program, n_golden: int) -> GoldenArrays:
    """Read the golden windows of a bundle.

    Args:
        path: `golden.npz`.
        program: The network.
        n_golden: Windows wanted.

    Raises:
        BuildError: There is none, or it does not fit the network.
    """
    golden = read_golden(path, n_golden)
    if len(golden) == 0 or golden.x[0].size != program.input.elements:
        raise BuildError(
            f"{path}: {len(golden)} golden windows of {golden.x.shape[1:]} do not fit the "
            f"network's {program.input.elements} inputs"
        )
    answers = [_codes(golden.y, program)]
    if golden.y_fused is not None and not np.array_equal(golden.y, golden.y_fused):
        answers.append(_codes(golden.y_fused, program))
    inputs = np.ascontiguousarray(golden.x, np.float32).reshape(len(golden), -1)
    return GoldenArrays(inputs=inputs, answers=np.stack(answers, axis=1))


def _codes(y: NDArray[np.float32], program: Program) -> NDArray[Any]:
    q = program.output_qparams
    if q is None:
        return y
    codes = scalar.quantize(y, q.scale, q.zero_point)
    if not np.array_equal(scalar.dequantize(codes, q.scale, q.zero_point), y):
        raise BuildError("the golden outputs are not multiples of the network's output scale")
    return codes


def _braces(array: NDArray[Any], depth: int) -> str:
    """Return nested initialisers."""
    pad = "  " * depth
    if array.ndim > 1:
        inner = (f"{pad}{{\n{_braces(part, depth + 1)}}}" for part in array)
        return ",\n".join(inner)
    write = float_literal if array.dtype == np.float32 else str
    numbers = [write(number) for number in array.tolist()]
    rows = [", ".join(numbers[i : i + _PER_LINE]) for i in range(0, len(numbers), _PER_LINE)]
    return ",\n".join(pad + row for row in rows)
