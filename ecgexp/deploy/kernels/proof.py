"""Cheap float32 formulas that are proved, over every int8 input, to give ONNX Runtime's result.

ONNX Runtime dequantizes, computes and quantizes in float32, dividing by the output step. A device
wants one multiplication instead. int8 operands leave few enough inputs (65,536 pairs) to try a
candidate on all of them; a constant that is wrong somewhere is moved by single units in the last
place until one is right everywhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from ecgexp.deploy.kernels.kernel import QParams
from ecgexp.deploy.kernels.requant import dequantized

Array = np.ndarray[Any, Any]
_NUDGES = 24
_LEAST_SHIFT, _MOST_SHIFT = 17, 24


def nudged(value: Any) -> Iterator[Any]:
    """Yield float32 neighbours of a value, nearest first."""
    centre = np.float32(value)
    yield centre
    above = below = centre
    for _ in range(_NUDGES):
        above = np.nextafter(above, np.float32(np.inf))
        below = np.nextafter(below, np.float32(-np.inf))
        yield above
        yield below


def steps(value: Array, y: QParams) -> Array:
    """Round float32 values in units of the output step to int8, as QuantizeLinear does."""
    rounded: Array = np.clip(np.rint(value).astype(np.int64) + y.zero_point, -128, 127)
    return rounded


def fused_multiply_add(a: Array, b: Array, c: Array) -> Array:
    """Return float32(a * b + c) with one rounding."""
    product = a.astype(np.float64) * b.astype(np.float64)
    addend = c.astype(np.float64)
    total = product + addend
    # What float64 lost; rounding to odd keeps it from hiding a tie of the second rounding.
    virtual = total - product
    error = (product - (total - virtual)) + (addend - virtual)
    bits = total.view(np.int64)
    towards = np.where(error > 0, np.inf, -np.inf)
    odd = np.where((error != 0) & (bits % 2 == 0), np.nextafter(total, towards), total)
    result: Array = odd.astype(np.float32)
    return result


def product_multiplier(a: QParams, b: QParams, y: QParams) -> float | None:
    """Find k with round((a - za) * (b - zb) * k) equal to the float32 steps, or None."""
    real_a, real_b = dequantized(a)[:, None], dequantized(b)[None, :]
    expected = steps(real_a * real_b / np.float32(y.scale), y)
    values = np.arange(-128, 128)
    integers = (values - a.zero_point)[:, None] * (values - b.zero_point)[None, :]
    exact = integers.astype(np.float32)
    for k in nudged(a.scale * b.scale / y.scale):
        if np.array_equal(steps(exact * k, y), expected):
            return float(k)
    return None


class Fraction(NamedTuple):
    """A product in whole numbers: (left * multiplier + offset) >> shift, then saturated.

    The multiplier is the right factor less its zero point times `factor`, in float32, rounded.
    """

    factor: float
    offset: int
    shift: int


def product_fraction(a: QParams, b: QParams, y: QParams) -> Fraction | None:
    """Find whole numbers that give the float32 steps of a product for all pairs, or None.

    The shift, from 17 to 24, leaves no sum outside int32.
    """
    expected = steps(dequantized(a)[:, None] * dequantized(b)[None, :] / np.float32(y.scale), y)
    values = np.arange(-128, 128)
    left, right = (values - a.zero_point)[:, None], values - b.zero_point
    k = np.float64(a.scale) * b.scale / y.scale
    reach = np.abs(left).max() * np.abs(right).max() * k + 129
    shift = min(int(np.log2(2**31 / reach)), _MOST_SHIFT)
    if shift < _LEAST_SHIFT:
        return None
    for factor in nudged(k * 2.0**shift):
        multiplier = np.rint(right.astype(np.float32) * factor).astype(np.int64)
        for nudge in (0, -64, 64):
            offset = (y.zero_point << shift) + (1 << (shift - 1)) + nudge
            total = left * multiplier[None, :] + offset
            if np.abs(total).max() >= 2**31:
                continue
            if np.array_equal(np.clip(total >> shift, -128, 127), expected):
                return Fraction(float(factor), offset, shift)
    return None


def sum_multipliers(a: QParams, b: QParams, y: QParams) -> tuple[float, float, float] | None:
    """Find (ka, kb, c) with round(fma(a, ka, fma(b, kb, c))) equal to the float32 steps, or None.

    a and b are the int8 values themselves; c holds both zero points.
    """
    expected = steps((dequantized(a)[:, None] + dequantized(b)[None, :]) / np.float32(y.scale), y)
    values = np.arange(-128, 128).astype(np.float32)
    first, second = values[:, None], values[None, :]
    ka, kb = np.float32(a.scale / y.scale), np.float32(b.scale / y.scale)
    offset = -(a.zero_point * np.float64(ka) + b.zero_point * np.float64(kb))
    for factor_a in list(nudged(ka))[:5]:
        for c in nudged(offset):
            inner = fused_multiply_add(second, np.asarray(kb), np.asarray(c))
            total = fused_multiply_add(first, np.asarray(factor_a), inner)
            if np.array_equal(steps(total, y), expected):
                return float(factor_a), float(kb), float(c)
    return None


def sum_reciprocal(a: QParams, b: QParams, y: QParams) -> float | None:
    """Find k with round(((a - za) sa + (b - zb) sb) k) equal to the float32 steps, or None."""
    total = dequantized(a)[:, None] + dequantized(b)[None, :]
    expected = steps(total / np.float32(y.scale), y)
    for k in nudged(1.0 / y.scale):
        if np.array_equal(steps(total * k, y), expected):
            return float(k)
    return None


def mean_multiplier(x: QParams, y: QParams, count: int) -> float | None:
    """Find k with round(sum * k) equal to round(sum * sx / count / sy) for every sum, or None."""
    sums = _sums(x, count).astype(np.float32)
    real = sums * np.float32(x.scale) / np.float32(count)
    expected = steps(real / np.float32(y.scale), y)
    for k in nudged(x.scale / count / y.scale):
        if np.array_equal(steps(sums * k, y), expected):
            return float(k)
    return None


def window_multiplier(x: QParams, y: QParams, count: int) -> float | None:
    """Find k with round(sum * k) equal to a float32 mean taken in any order, or None.

    The rounding errors of a float32 sum are bounded; k exists only where no sum lies so close to a
    tie that they could turn it.
    """
    sums = _sums(x, count)
    real = sums * np.float64(x.scale) / count / y.scale
    largest = np.abs(real).max()
    bound = (count + 3) * 2.0**-24 * largest
    inside = np.abs(real + y.zero_point) < 129
    if (np.abs(real - np.floor(real) - 0.5)[inside] <= bound).any():
        return None
    for k in nudged(x.scale / count / y.scale):
        if np.array_equal(steps(sums.astype(np.float32) * k, y), steps(real, y)):
            return float(k)
    return None


def _sums(x: QParams, count: int) -> Array:
    """Return every sum of `count` dequantized values, in units of the step."""
    sums: Array = np.arange((-128 - x.zero_point) * count, (127 - x.zero_point) * count + 1)
    return sums
