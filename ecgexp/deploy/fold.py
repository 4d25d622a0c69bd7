"""Evaluate operators whose inputs are all constants, keeping dequantized weights recognisable."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecgexp.deploy.graph import Op, Ref

Array = NDArray[Any]


class Dequantized(np.ndarray[Any, np.dtype[Any]]):
    """A float32 array (code - zero_point) * scale that remembers its parts.

    Attributes:
        codes: Integers of the same shape.
        scales: float32, of the same shape.
        zero_points: Integers of the same shape.
    """

    codes: Array
    scales: Array
    zero_points: Array

    @classmethod
    def build(cls, codes: Array, scales: Array, zero_points: Array) -> Dequantized:
        """Dequantize; scales and zero points are broadcast to the shape of the codes."""
        scales = np.broadcast_to(np.asarray(scales, np.float32), codes.shape)
        zero_points = np.broadcast_to(np.asarray(zero_points, np.int64), codes.shape)
        real = (codes.astype(np.int64) - zero_points).astype(np.float32) * scales
        array = np.ascontiguousarray(real).view(cls)
        array.codes, array.scales, array.zero_points = codes, scales, zero_points
        return array

    def rearranged(self, move: Callable[[Array], Array]) -> Dequantized:
        """Apply a change of shape or order to the array and all its parts."""
        return Dequantized.build(move(self.codes), move(self.scales), move(self.zero_points))


def rearranged(array: Array, move: Callable[[Array], Array]) -> Array:
    """Change the shape or order of an array; dequantized weights stay recognisable."""
    return array.rearranged(move) if isinstance(array, Dequantized) else move(array)


def flattened(array: Array) -> Array:
    """Return the array with one axis; dequantized weights stay recognisable."""
    return rearranged(array, lambda part: part.reshape(-1))


def evaluate(op: Op) -> Array | None:
    """Return the value of an operator of constants, or None where it depends on the input."""
    if any(isinstance(operand, Ref) for operand in op.inputs) or not op.inputs:
        return None
    function = _FUNCTIONS.get(op.kind)
    if function is None:
        raise op.fail("it is applied to constants in a way that cannot be evaluated")
    return function(op, *op.inputs)


def _dequantize(op: Op, codes: Array, scale: Array, zero_point: Array) -> Array:
    return Dequantized.build(
        codes, _along(scale, codes, op.attrs["axis"]), _along(zero_point, codes, op.attrs["axis"])
    )


def _quantize(op: Op, real: Array, scale: Array, zero_point: Array) -> Array:
    axis = op.attrs["axis"]
    limits = np.iinfo(op.dtype)
    steps = np.rint(np.asarray(real, np.float32) / _along(scale, real, axis))
    codes = steps + _along(zero_point, real, axis).astype(np.float32)
    return np.asarray(np.clip(codes, limits.min, limits.max), op.dtype)


def _along(values: Array, like: Array, axis: int) -> Array:
    """Shape per-axis parameters so that they broadcast over an array."""
    values = np.asarray(values)
    if values.size == 1:
        return values.reshape(())
    shape = [1] * like.ndim
    shape[axis] = values.size
    return values.reshape(shape)


def _move(move: Callable[[Op, Array], Array]) -> Callable[..., Array]:
    def apply(op: Op, array: Array, *_: Any) -> Array:
        return rearranged(array, lambda part: move(op, part))

    return apply


def _arithmetic(function: Callable[..., Array]) -> Callable[..., Array]:
    def apply(op: Op, *operands: Array) -> Array:
        return np.asarray(function(*(np.asarray(o) for o in operands)), dtype=op.dtype)

    return apply


_reshape = _move(lambda op, array: array.reshape(op.shape))
_FUNCTIONS: dict[str, Callable[..., Array]] = {
    "quantize": _quantize,
    "dequantize": _dequantize,
    "reshape": _reshape,
    "squeeze": _reshape,
    "expand_dims": _reshape,
    "permute_dims": _move(lambda op, array: array.transpose(op.attrs["axes"])),
    "add": _arithmetic(np.add),
    "subtract": _arithmetic(np.subtract),
    "multiply": _arithmetic(np.multiply),
    "divide": _arithmetic(np.divide),
    "isnan": _arithmetic(np.isnan),
    "where": _arithmetic(np.where),
}
