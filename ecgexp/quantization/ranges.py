"""Ranges of activations that lose least to rounding and clipping together."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from ecgexp.quantization.tensors import watch
from ecgexp.quantization.tie_free import Overrides, fixed

_SHARES = np.linspace(0.3, 1.0, 36)
_VALUES_PER_WINDOW = 512
_STEPS = 255


def mse_ranges(
    model: onnx.ModelProto,
    names: Sequence[str],
    windows: NDArray[np.float32],
    scratch: Path,
) -> Overrides:
    """Choose the range of each tensor with the smallest mean squared error after int8.

    The range from minimum to maximum (zero always inside) is shrunk towards zero in 36 steps, and
    the error is measured on up to 512 values of each window, drawn with a fixed seed.

    Args:
        model: The float network with inferred shapes.
        names: Tensors that will be quantized.
        windows: Calibration windows (window, ...).
        scratch: Folder for temporary files.

    Returns:
        Scale and zero point by tensor.
    """
    random = np.random.default_rng(0)
    samples: dict[str, list[NDArray[np.float32]]] = {name: [] for name in names}
    for tensors in watch(model, names, windows, scratch):
        for name in names:
            flat = tensors[name].ravel()
            if flat.size > _VALUES_PER_WINDOW:
                extremes = np.array([flat.min(), flat.max()], np.float32)
                drawn = flat[random.integers(flat.size, size=_VALUES_PER_WINDOW - 2)]
                flat = np.concatenate([drawn, extremes])
            samples[name].append(flat)
    return {name: [best_range(np.concatenate(parts))] for name, parts in samples.items()}


def best_range(values: NDArray[np.float32]) -> dict[str, object]:
    """Return the scale and zero point with the smallest squared error for some values."""
    low, high = min(float(values.min()), 0.0), max(float(values.max()), 0.0)
    if low == high:
        return fixed(1.0, -128)
    errors, found = [], []
    for share in _SHARES:
        scale = (high - low) * share / _STEPS
        point = int(np.clip(np.rint(-128 - low * share / scale), -128, 127))
        whole = np.clip(np.rint(values / scale) + point, -128, 127)
        errors.append(float(np.square((whole - point) * scale - values).mean()))
        found.append(fixed(scale, point))
    return found[int(np.argmin(errors))]
