from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from ecgexp.deploy.kernels import Kernel
from ecgexp.deploy.layers import ENTRY, Layer, by_operator, layers_of, operator_name
from ecgexp.deploy.program import Buffer, Program, Step
from ecgexp.deploy.report import write_layers
from ecgexp.deploy.runner import FunctionCost


def _step(number: int, symbol: str, name: str, macs: int) -> Step:
    constants = (np.zeros(10, np.int8), np.zeros(3, np.int32))
    return Step(
        symbol=symbol,
        kernel=Kernel(name, None, constants, macs),
        inputs=(Buffer(index=number, elements=8, dtype="int8"),),
        output=Buffer(index=number + 1, elements=7, dtype="float32"),
        origin=f"ONNX Conv 'c{number}'",
    )


def _program() -> Program:
    steps = (
        _step(0, "k0", "conv1d_int8_l8", 320),
        _step(1, "k1", "max_pool_int8_l8c1", 0),
        _step(2, "k0", "conv1d_int8_l8", 320),
    )
    return Program(
        input=steps[0].inputs[0],
        output=steps[-1].output,
        steps=steps,
        input_qparams=None,
        output_qparams=None,
        output_is_probability=False,
        float_ops=(),
        quantized=True,
    )


PROFILE = (
    FunctionCost(function="k0", instructions=3000, cycles_est=4001),
    FunctionCost(function="k1", instructions=77, cycles_est=80),
    FunctionCost(function="ecgexp_model_run", instructions=41, cycles_est=41),
    FunctionCost(function="memcpy", instructions=10, cycles_est=12),
)


def test_rows_follow_the_network_and_add_up_to_the_whole() -> None:
    layers = layers_of(_program(), PROFILE, n_windows=2)
    assert [layer.layer for layer in layers] == [
        "Conv 'c0'",
        "Conv 'c1'",
        "Conv 'c2'",
        "ecgexp_model_run",
        "memcpy",
    ]
    assert sum(layer.instructions for layer in layers) == (3000 + 77 + 41 + 10) / 2
    assert sum(layer.cycles_est or 0 for layer in layers) == (4001 + 80 + 41 + 12) / 2
    assert layers[0].instructions == layers[2].instructions == 750
    assert layers[0].instructions_per_mac == 750 / 320
    assert layers[0].floor == 20
    assert layers[1].instructions_per_mac is None
    assert layers[0].weight_bytes == 22
    assert layers[0].output_bytes == 28


def test_operators_are_summed_most_expensive_first() -> None:
    sums = by_operator(layers_of(_program(), PROFILE, n_windows=1))
    assert [(s.operator, s.instructions, s.macs) for s in sums] == [
        ("conv1d", 3000, 640),
        ("max_pool", 77, 0),
        (ENTRY, 51, 0),
    ]
    assert sums[0].layer == "2 layers"


def test_no_cycle_model_leaves_the_column_empty(tmp_path: Path) -> None:
    profile = tuple(
        FunctionCost(function=cost.function, instructions=cost.instructions, cycles_est=None)
        for cost in PROFILE
    )
    layers = layers_of(_program(), profile, n_windows=1)
    assert all(total.cycles_est is None for total in by_operator(layers))


@pytest.mark.parametrize(
    ("kernel", "operator"),
    [
        ("conv1d_int8_l800i1o24k9s2d1p3_4g1", "conv1d"),
        ("conv1d_int8_l900i8o16k9s1d1p4_4g1_max4", "conv1d + max_pool"),
        ("depthwise_conv1d_float32_l8", "depthwise_conv1d"),
        ("global_avg_pool_int8_l57c64", "global_avg_pool"),
        ("mul_int8_time_l50c32", "mul"),
        ("quantize_n70", "quantize"),
        ("max_pool_int8_l400c24k2s2p0_0", "max_pool"),
    ],
)
def test_operator_is_the_kernel_without_its_shape(kernel: str, operator: str) -> None:
    assert operator_name(kernel) == operator


def test_tables_and_picture_are_written(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    layers: tuple[Layer, ...] = layers_of(_program(), PROFILE, n_windows=1)
    paths = write_layers(layers, "net on board", tmp_path)
    assert [path.name for path in paths] == ["layers.csv", "operators.csv", "layers.png"]
    with paths[0].open() as stream:
        rows = list(csv.DictReader(stream))
    assert sum(float(row["instructions"]) for row in rows) == 3128
    assert rows[1]["instructions_per_mac"] == ""
    assert imread(paths[2]).std() > 0.05
    assert "instructions by operator: conv1d 95.9 %, max_pool 2.5 %, entry 1.6 %" in caplog.text
