"""The network for scalograms, exported, quantized and run on the emulated board."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from ecgexp.config.build import build
from ecgexp.config.compose import compose
from ecgexp.quantization.bundle import bundle_from_onnx
from ecgexp.quantization.export import export_onnx
from ecgexp.types import SignalSpec
from tests.deploy.conftest import load_target

IMAGE = SignalSpec(
    fs_hz=180.0, leads=("MLII",), n_samples=100, labels=("N", "L", "R", "V"), n_rows=100
)


def scalograms(n: int) -> np.ndarray:
    """Return smooth images in 0..1, as scalograms are."""
    rng = np.random.default_rng(n)
    rough = torch.from_numpy(rng.uniform(0, 1, (n, 1, 8, 8)).astype(np.float32))
    smooth = nn.functional.interpolate(rough, (100, 100), mode="bilinear")
    return np.asarray(smooth.numpy(), dtype=np.float32)


@pytest.mark.device
@pytest.mark.slow
@pytest.mark.usefixtures("need_device")
def test_scalogram_network_on_the_emulator_equals_onnx_runtime(tmp_path: Path) -> None:
    config = compose(
        "config", ["architecture=cnn_scalogram_small", "deploy=tvm", f"paths.home={tmp_path}"]
    ).config
    torch.manual_seed(0)
    net = build(config["architecture"], path="architecture", spec=IMAGE)
    for _ in range(8):
        net(torch.from_numpy(scalograms(32)))
    float_onnx = export_onnx(net.eval(), IMAGE, tmp_path / "float.onnx")
    quantizer = build(config["quantization"], path="quantization")
    onnx = quantizer.quantize(float_onnx, scalograms(64), tmp_path / "int8.onnx")
    np.savez(tmp_path / "golden.npz", x=scalograms(4))
    bundle = bundle_from_onnx(
        onnx, tmp_path / "golden.npz", tmp_path / "bundle", seed=1, n_golden=4
    )
    assert bundle.spec == IMAGE
    report = build(config["deploy"], path="deploy").deploy(
        bundle, load_target("corstone300_m55"), tmp_path / "out"
    )
    assert report.metrics["golden_equal"] == 1.0
    assert report.metrics["float_ops"] == 0
    assert report.metrics["ram_bytes"] < 80 * 1024
