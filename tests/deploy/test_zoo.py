from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ecgexp.errors import BuildError
from tests.deploy import nets
from tests.deploy.zoo import ZOO

N_WINDOWS = 40


@pytest.mark.parametrize("name", sorted(ZOO))
def test_int8_network_equals_onnx_runtime_bit_for_bit(name: str, tmp_path: Path) -> None:
    float_onnx = ZOO[name](tmp_path / "float.onnx")
    onnx = nets.quantize(float_onnx, tmp_path / "int8.onnx")

    compiled = nets.compile_host(onnx, tmp_path)
    x = nets.windows(onnx, N_WINDOWS)
    computed = nets.run_host(compiled, x, tmp_path)

    assert compiled.program.input.dtype == "int8"
    assert compiled.program.float_ops == ()
    assert len(np.unique(computed, axis=0)) > N_WINDOWS // 4, "the outputs hardly differ"
    expected = nets.reference(onnx, x)
    if compiled.program.output_is_probability:
        np.testing.assert_allclose(computed, expected, rtol=1e-6)
    else:
        np.testing.assert_array_equal(computed, expected)


@pytest.mark.parametrize("name", sorted(ZOO))
def test_float_network_agrees_with_onnx_runtime(name: str, tmp_path: Path) -> None:
    onnx = ZOO[name](tmp_path / "float.onnx")

    compiled = nets.compile_host(onnx, tmp_path)
    x = nets.windows(onnx, N_WINDOWS)
    computed = nets.run_host(compiled, x, tmp_path)

    expected = nets.reference(onnx, x)
    assert np.max(np.abs(computed - expected)) < 3e-6 * np.max(np.abs(expected))


@pytest.mark.parametrize("name", ["conv_strided", "squeeze_excite", "residual", "silu"])
def test_network_with_arbitrary_scales_differs_at_most_in_rare_last_bits(
    name: str, tmp_path: Path
) -> None:
    float_onnx = ZOO[name](tmp_path / "float.onnx")
    onnx = nets.quantize(float_onnx, tmp_path / "int8.onnx", tie_free=False)

    compiled = nets.compile_host(onnx, tmp_path)
    x = nets.windows(onnx, 100)
    steps = (
        nets.run_host(compiled, x, tmp_path) - nets.reference(onnx, x)
    ) / compiled.library.output_scale

    assert np.max(np.abs(steps)) < 1.5
    assert np.mean(np.abs(steps) > 0.5) < 0.02


@pytest.mark.parametrize("name", ["silu", "gelu_spelt_out", "hard_swish", "leaky_relu"])
def test_scalar_function_of_an_int8_network_is_one_table(name: str, tmp_path: Path) -> None:
    float_onnx = ZOO[name](tmp_path / "float.onnx")
    onnx = nets.quantize(float_onnx, tmp_path / "int8.onnx")

    program = nets.compile_host(onnx, tmp_path).program

    kinds = [step.kernel.name.split("_")[0] for step in program.steps]
    assert kinds == ["conv1d", "table", "conv1d", "global", "dense"]


def test_activation_after_convolution_costs_no_pass(tmp_path: Path) -> None:
    float_onnx = ZOO["clip"](tmp_path / "float.onnx")
    int8_onnx = nets.quantize(float_onnx, tmp_path / "int8.onnx")
    for path in (float_onnx, int8_onnx):
        steps = nets.compile_host(path, tmp_path).program.steps
        assert [step.kernel.name.split("_")[0] for step in steps] == [
            "conv1d",
            "conv1d",
            "global",
            "dense",
        ]


def test_padding_goes_into_the_convolution(tmp_path: Path) -> None:
    onnx = ZOO["conv_after_pad"](tmp_path / "float.onnx")
    steps = nets.compile_host(onnx, tmp_path).program.steps
    assert not [step for step in steps if step.kernel.name.startswith("pad")]


def test_channels_of_a_number_without_a_code_are_refused(tmp_path: Path) -> None:
    net = nets.Net()
    x = net.op("Relu", net.conv("x", 1, 6, 5, pads=[2, 2]))
    wide = net.op("Pad", x, net.const([0, 0, 0, 0, 2, 0], np.int64), net.const(-7.125))
    flat = net.op("ReduceMean", wide, net.const([2], np.int64), keepdims=0)
    path = net.save(net.dense(flat, 8, 3), 3, tmp_path / "f.onnx")
    onnx = nets.quantize(path, tmp_path / "q.onnx")
    with pytest.raises(BuildError, match=r"its constant -7\.125 has no code in its input's quant"):
        nets.compile_host(onnx, tmp_path)
