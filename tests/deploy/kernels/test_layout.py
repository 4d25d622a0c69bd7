"""Operators that only move data, and tables that only change the scale."""

from __future__ import annotations

import numpy as np
import pytest
from kernel_harness import run_host
from onnx import helper
from ort_reference import run_quantized

from ecgexp.deploy.kernels import QParams, concat, pad, requantize, table, transpose
from ecgexp.errors import BuildError

_X = np.arange(-30, 30, dtype=np.int8).reshape(12, 5)


def test_transpose() -> None:
    kernel = transpose.build(isa="generic", rows=12, cols=5, dtype="int8")
    out = run_host(kernel, _X, size=60, dtype="int8")
    np.testing.assert_array_equal(out.reshape(5, 12), _X.T)


def test_concat_of_channels() -> None:
    other = (_X[:, :3] + 7).astype(np.int8)
    kernel = concat.build(isa="generic", length=12, channels=(5, 3), dtype="int8")
    out = run_host(kernel, _X, other, size=96, dtype="int8")
    np.testing.assert_array_equal(out.reshape(12, 8), np.hstack([_X, other]))


def test_copy() -> None:
    kernel = concat.build_copy(isa="generic", n=60, dtype="int8")
    np.testing.assert_array_equal(run_host(kernel, _X, size=60, dtype="int8"), _X.reshape(-1))


def test_pad() -> None:
    kernel = pad.build(
        isa="generic",
        length=12,
        channels=5,
        time_pads=(2, 1),
        channel_pads=(0, 3),
        value=-128,
        dtype="int8",
    )
    out = run_host(kernel, _X, size=15 * 8, dtype="int8")
    expected = np.pad(_X, ((2, 1), (0, 3)), constant_values=-128)
    np.testing.assert_array_equal(out.reshape(15, 8), expected)


@pytest.mark.parametrize("ratio", [0.31, 1.0, 2.0, 3.7])
def test_requantize_equals_onnxruntime(ratio: float) -> None:
    x, y = QParams(0.02, -3), QParams(0.02 * ratio, 9)
    values = np.arange(-128, 128, dtype=np.int8)
    expected = run_quantized(helper.make_node("Identity", ["x_f"], ["r"]), {"x": (values, x)}, y)
    kernel = requantize.build(isa="generic", n=256, x=x, y=y)
    np.testing.assert_array_equal(run_host(kernel, values, size=256, dtype="int8"), expected)


def test_table_of_wrong_size_is_refused() -> None:
    with pytest.raises(BuildError, match=r"table is int8\(255,\), expected 256 int8 values"):
        table.build(isa="generic", n=4, table=np.zeros(255, np.int8))


@pytest.mark.parametrize(("scale", "zero_point"), [(0.0, 0), (np.inf, 0), (0.1, 128)])
def test_impossible_quantization_is_refused(scale: float, zero_point: int) -> None:
    with pytest.raises(BuildError, match=r"quantization scale|zero point"):
        QParams(scale, zero_point)
