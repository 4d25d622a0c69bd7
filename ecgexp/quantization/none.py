"""The scheme that leaves the float network as it is."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ecgexp.types import Scheme

log = logging.getLogger(__name__)


class NoQuantization:
    """Deploy the float network."""

    scheme: Scheme = "none"
    n_calibration = 0
    max_drop: float | None = None
    equalizes = False

    @property
    def untrained(self) -> NoQuantization:
        """What quantizes without training: itself."""
        return self

    def quantize(self, float_onnx: Path, calibration: NDArray[np.float32], out: Path) -> Path:
        """Copy the float network.

        Args:
            float_onnx: The exported network.
            calibration: Not read.
            out: File to write.

        Returns:
            `out`.
        """
        log.info("quantization none: the float network is deployed as it is")
        shutil.copyfile(float_onnx, out)
        return out
