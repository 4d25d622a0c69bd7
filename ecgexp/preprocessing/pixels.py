"""Images kept as bytes: a quarter of the disk and of the memory, without loss to 8-bit pixels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

WHITE = 255


def as_float(rows: NDArray[Any]) -> NDArray[np.float32]:
    """Return windows as a network takes them: bytes become 0..1, anything else float32."""
    if rows.dtype == np.uint8:
        return rows.astype(np.float32) / np.float32(WHITE)
    return np.ascontiguousarray(rows, dtype=np.float32)


class FloatPixels:
    """Bytes that read as float32 in 0..1 wherever they are indexed; the rest stays on disk.

    Args:
        pixels: Images (window, lead, row, column) uint8, usually memory-mapped.
    """

    def __init__(self, pixels: NDArray[np.uint8]) -> None:
        self._pixels = pixels
        self.shape = pixels.shape
        self.ndim = pixels.ndim
        self.dtype = np.dtype(np.float32)

    def __len__(self) -> int:
        return len(self._pixels)

    def __getitem__(self, index: Any) -> NDArray[np.float32]:
        """Return the chosen images as float32."""
        return as_float(np.asarray(self._pixels[index]))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """Return all images; numpy's hook."""
        return self[:] if dtype is None else self[:].astype(dtype, copy=False)
