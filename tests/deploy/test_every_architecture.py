"""Every kind of network, made tiny, quantized and run on the emulated board bit for bit."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from ecgexp.config.build import build
from ecgexp.config.compose import compose
from ecgexp.quantization.bundle import bundle_from_onnx
from ecgexp.quantization.export import export_onnx
from ecgexp.types import SignalSpec
from tests.deploy.conftest import load_target
from tests.networks import windows

# Odd lengths and channel counts that fill no vector.
SPEC = SignalSpec(fs_hz=100.0, leads=("I", "II"), n_samples=331, labels=("a", "b", "c"))

TINY = {
    "cnn_mlii17": ["layers.filters=[4,6,8,10,10,10,9]", "hidden=10", "norm=before_relu"],
    "cnn_avh": ["layers.filters=[10,6,6,10,18,7]", "layers.kernel=[20,7,10,5,5,3]", "hidden=9"],
    "cnn_avh_small": ["layers.filters=[6,5,6,7,9,7]", "hidden=6"],
    "dscnn": ["layers.filters=[6,9,12,12,10]"],
    "efficientnetv2_rhythm4": ["stem.filters=8", "blocks.filters=[8,8,16,24]"],
    "resnet1d": ["stem.filters=6", "blocks.filters=[6,9,10,10]", "blocks.kernel=[7,5,5,3]"],
    "resnet_hannun_small": ["stem.filters=5", "blocks.filters=[5,5,7,7,8,8,9,9]"],
    "tcn": ["stem.filters=7", "blocks.filters=7", "blocks.dilation=[1,5]"],
}


def int8_onnx(name: str, folder: Path) -> Path:
    overrides = [f"architecture.{change}" for change in TINY[name]]
    config = compose("config", [f"architecture={name}", *overrides]).config
    torch.manual_seed(1)
    network = build(config["architecture"], path="architecture", spec=SPEC)
    with torch.no_grad():
        for seed in range(8):
            network(torch.from_numpy(windows(16, seed, SPEC)))
    path = export_onnx(network.eval(), SPEC, folder / "float.onnx")
    quantizer = build(config["quantization"], path="quantization")
    return Path(quantizer.quantize(path, windows(32, 9, SPEC), folder / "int8.onnx"))


@pytest.mark.device
@pytest.mark.slow
@pytest.mark.usefixtures("need_device")
@pytest.mark.parametrize("name", TINY)
def test_tiny_network_on_the_emulator_equals_onnx_runtime(name: str, tmp_path: Path) -> None:
    onnx = int8_onnx(name, tmp_path)
    bundle = bundle_from_onnx(onnx, None, tmp_path / "bundle", seed=1, n_golden=8)
    node = compose("config", ["deploy=tvm", f"paths.home={tmp_path}"]).config["deploy"]
    report = build(node, path="deploy").deploy(
        bundle, load_target("corstone300_m55"), tmp_path / "out"
    )
    assert report.metrics["golden_equal"] == 1.0
    assert report.metrics["float_ops"] == 0
    assert 0 < report.metrics["instructions"] < report.metrics["cycles_est"]
