"""Multipliers that replace ONNX Runtime's float32 steps."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from ecgexp.deploy.kernels import QParams, proof


def test_fused_multiply_add_rounds_once() -> None:
    rng = np.random.default_rng(3)
    a, b, c = (rng.normal(size=2000).astype(np.float32) for _ in range(3))
    # A product that cancels almost all of the addend, and ties of the float32 rounding.
    c[:500] = -(a[:500] * b[:500])
    a[500:600], b[500:600] = np.float32(1 + 2**-12), np.float32(1 + 2**-12)
    for got, *parts in zip(proof.fused_multiply_add(a, b, c), a, b, c, strict=True):
        x, y, z = (Fraction(float(part)) for part in parts)
        exact = x * y + z
        around = [got, np.nextafter(got, np.float32(9e9)), np.nextafter(got, np.float32(-9e9))]
        errors = [abs(Fraction(float(value)) - exact) for value in around]
        assert errors[0] <= min(errors[1:])


@pytest.mark.parametrize("seed", range(5))
def test_product_multiplier_holds_for_every_pair(seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b, y = (QParams(rng.uniform(0.01, 0.05), int(rng.integers(-128, 128))) for _ in range(3))
    y = QParams(y.scale * 0.1, y.zero_point)
    k = proof.product_multiplier(a, b, y)
    assert k is not None
    values = np.arange(-128, 128)
    real_a = (values - a.zero_point).astype(np.float32) * np.float32(a.scale)
    real_b = (values - b.zero_point).astype(np.float32) * np.float32(b.scale)
    expected = np.rint(np.outer(real_a, real_b) / np.float32(y.scale))
    integers = np.outer(values - a.zero_point, values - b.zero_point).astype(np.float32)
    clipped = [np.clip(v + y.zero_point, -128, 127) for v in (expected, np.rint(integers * k))]
    np.testing.assert_array_equal(clipped[0], clipped[1])


@pytest.mark.parametrize("seed", [0, 2, 3, 4])
def test_product_in_whole_numbers_holds_for_every_pair_and_stays_in_int32(seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = QParams(rng.uniform(0.01, 0.05), int(rng.integers(-128, 128))), QParams(1 / 256.5, -128)
    y = QParams(a.scale * rng.uniform(0.3, 1), int(rng.integers(-128, 128)))
    fraction = proof.product_fraction(a, b, y)
    assert fraction is not None
    values = np.arange(-128, 128)
    real_a, real_b = ((values - q.zero_point).astype("f4") * np.float32(q.scale) for q in (a, b))
    expected = np.clip(
        np.rint(np.outer(real_a, real_b) / np.float32(y.scale)) + y.zero_point, -128, 127
    )
    for j, right in enumerate(values - b.zero_point):
        multiplier = int(np.rint(np.float32(right) * np.float32(fraction.factor)))
        sums = [int(left) * multiplier + fraction.offset for left in values - a.zero_point]
        assert max(map(abs, sums)) < 2**31
        steps = [min(max(total >> fraction.shift, -128), 127) for total in sums]
        np.testing.assert_array_equal(steps, expected[:, j])


def test_no_product_in_whole_numbers_where_ties_go_to_even_or_results_are_huge() -> None:
    half = QParams(0.5, 0)
    assert proof.product_fraction(half, half, half) is None
    assert proof.product_fraction(half, half, QParams(1e-4, 0)) is None


def test_no_multiplier_where_float_noise_decides_ties() -> None:
    # 0.1 + 0.1 over 0.2: half of all sums lie on a tie that rounding errors of float32 decide.
    tenth = QParams(0.1, 3)
    assert proof.sum_multipliers(tenth, QParams(0.1, -7), QParams(0.2, 1)) is None


def test_window_multiplier_needs_distance_from_ties() -> None:
    x = QParams(0.05, -9)
    assert proof.window_multiplier(x, x, 2) is None
    k = proof.window_multiplier(x, QParams(0.0317, 4), 3)
    assert k is not None
    assert abs(k - 0.05 / 3 / 0.0317) < 1e-6
