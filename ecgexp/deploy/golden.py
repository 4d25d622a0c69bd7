"""The windows that the target runs, and what ONNX Runtime answers to them."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ecgexp.errors import BuildError

log = logging.getLogger(__name__)

FLOAT_TOLERANCE = 1e-4


@dataclass(frozen=True, kw_only=True, slots=True)
class Golden:
    """Golden windows.

    Where quantization scales are arbitrary numbers, a float32 sum of the graph as written can round
    across a tie. ONNX Runtime's own integer kernels do not follow it there, and no integer
    arithmetic can; so a window agrees when it equals either of the two.

    Attributes:
        x: (window, lead, sample) or (window, feature).
        y: (window, class), of the graph as written.
        y_fused: (window, class), of ONNX Runtime's integer kernels; None for a float network.
    """

    x: NDArray[np.float32]
    y: NDArray[np.float32]
    y_fused: NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.y)

    def judge(
        self, index: int, outputs: NDArray[np.float32], *, is_float: bool
    ) -> tuple[bool, bool]:
        """Compare the target's answer to one window.

        Args:
            index: The window.
            outputs: (class,), dequantized where the network is int8.
            is_float: Whether the device computed the output in float32.

        Returns:
            Whether it is ONNX Runtime's answer, and whether it is that of the graph as written.
        """
        as_written = agrees(outputs, self.y[index], is_float=is_float)
        if as_written or self.y_fused is None:
            return as_written, as_written
        return agrees(outputs, self.y_fused[index], is_float=is_float), False


def agrees(outputs: NDArray[np.float32], expected: NDArray[np.float32], *, is_float: bool) -> bool:
    """Return whether an output is what ONNX Runtime computed.

    Args:
        outputs: (class,), dequantized where the network is int8.
        expected: (class,).
        is_float: Whether the device computed the output in float32; else every bit must agree.
    """
    if not is_float:
        return bool(np.array_equal(outputs, expected))
    largest = float(np.max(np.abs(expected)))
    return bool(np.max(np.abs(outputs - expected)) <= FLOAT_TOLERANCE * largest)


def read_golden(path: Path, n_golden: int) -> Golden:
    """Read the first golden windows of a bundle.

    Args:
        path: `golden.npz`.
        n_golden: Windows wanted; a file with fewer gives what it has.

    Raises:
        BuildError: The file has no windows or no outputs.
    """
    try:
        with np.load(path) as arrays:
            x, y = arrays["x"][:n_golden], arrays["y"][:n_golden]
            fused = arrays["y_fused"][:n_golden] if "y_fused" in arrays else None
    except (OSError, KeyError, ValueError) as error:
        raise BuildError(f"{path} has no golden windows x and y: {error}") from error
    if len(x) < n_golden:
        log.info("the bundle has %d golden windows of %d wanted", len(x), n_golden)
    return Golden(
        x=x.astype(np.float32),
        y=y.astype(np.float32),
        y_fused=None if fused is None else fused.astype(np.float32),
    )
