"""Networks over rows and columns, here and on the emulated Cortex-M55."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml

from ecgexp.deploy.deployer import Deployer
from ecgexp.quantization.bundle import bundle_from_onnx
from ecgexp.resources import resource_folder
from tests.deploy import nets
from tests.deploy.conftest import load_target
from tests.deploy.spectrograms import SPECTROGRAMS

N_WINDOWS = 12


@pytest.mark.parametrize("name", sorted(SPECTROGRAMS))
def test_int8_network_equals_onnx_runtime_bit_for_bit(name: str, tmp_path: Path) -> None:
    float_onnx = SPECTROGRAMS[name](tmp_path / "float.onnx")
    onnx = nets.quantize(float_onnx, tmp_path / "int8.onnx")

    compiled = nets.compile_host(onnx, tmp_path)
    x = nets.windows(onnx, N_WINDOWS)
    computed = nets.run_host(compiled, x, tmp_path)

    assert compiled.program.float_ops == ()
    assert len(np.unique(computed, axis=0)) > 1, "the outputs hardly differ"
    np.testing.assert_array_equal(computed, nets.reference(onnx, x))


@pytest.mark.parametrize("name", sorted(SPECTROGRAMS))
def test_float_network_agrees_with_onnx_runtime(name: str, tmp_path: Path) -> None:
    onnx = SPECTROGRAMS[name](tmp_path / "float.onnx")

    compiled = nets.compile_host(onnx, tmp_path)
    x = nets.windows(onnx, N_WINDOWS)
    computed = nets.run_host(compiled, x, tmp_path)

    expected = nets.reference(onnx, x)
    assert np.max(np.abs(computed - expected)) < 1e-5 * np.max(np.abs(expected))


def test_bundle_of_a_spectrogram_network_says_that_windows_are_images(tmp_path: Path) -> None:
    onnx = SPECTROGRAMS["mbconv"](tmp_path / "float.onnx")
    bundle = bundle_from_onnx(onnx, None, tmp_path / "bundle", seed=1, n_golden=2)
    assert bundle.spec.window_shape == (2, 48, 48)
    assert np.load(bundle.golden)["x"].shape == (2, 2, 48, 48)


@pytest.mark.device
@pytest.mark.usefixtures("need_device")
@pytest.mark.parametrize("name", sorted(SPECTROGRAMS))
@pytest.mark.parametrize("quantized", [True, False])
def test_network_gives_the_right_answers_on_the_emulator(
    name: str, quantized: bool, tmp_path: Path
) -> None:
    onnx = SPECTROGRAMS[name](tmp_path / "net.onnx")
    if quantized:
        onnx = nets.quantize(onnx, tmp_path / "int8.onnx")
    bundle = bundle_from_onnx(onnx, None, tmp_path / "bundle", seed=1, n_golden=3)
    options = yaml.safe_load((resource_folder("conf") / "deploy" / "tvm.yaml").read_text())
    del options["_target_"]
    options |= {"n_golden": 3, "cache_dir": str(tmp_path / "cache")}
    deployer = Deployer(**options)
    report = deployer.deploy(bundle, load_target("corstone300_m55"), tmp_path / "m55")
    assert report.metrics["golden_equal"] == 1.0
    if quantized:
        # CMSIS-NN 5.0.0 takes 1.3 instructions per multiply-accumulate of the scalogram CNN.
        assert report.metrics["instructions"] < report.metrics["macs"]
