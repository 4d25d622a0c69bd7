"""One small trained-looking network, float and int8, for all tests of this folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from ecgexp.architecture.efficientnetv2_1d import EfficientNetV2
from ecgexp.quantization.export import export_onnx
from ecgexp.quantization.ptq import StaticInt8
from ecgexp.types import SignalSpec

SPEC = SignalSpec(fs_hz=100.0, leads=("I", "II"), n_samples=101, labels=("N", "S,V", "F"))


@dataclass(frozen=True)
class Example:
    """A network in every form, and windows for it."""

    spec: SignalSpec
    network: torch.nn.Module
    float_onnx: Path
    int8_onnx: Path
    calibration: np.ndarray
    x: np.ndarray


def beats(n: int, spec: SignalSpec, seed: int) -> np.ndarray:
    """Noisy spikes, (window, lead, sample) float32."""
    rng = np.random.default_rng(seed)
    time_s = np.arange(spec.n_samples) / spec.fs_hz
    phase = time_s * rng.uniform(0.8, 2.5, (n, 1, 1)) + rng.uniform(0, 1, (n, 1, 1))
    spikes = np.exp(-((phase % 1.0 - 0.5) ** 2) / 0.001) * rng.normal(4, 1, (n, spec.n_leads, 1))
    return (spikes + 0.3 * rng.standard_normal(spikes.shape)).astype(np.float32)


def small_network(spec: SignalSpec) -> EfficientNetV2:
    """Two stages, one of them with a residual, an odd length in front of a pooling."""
    stage = {"filters": 16, "kernel": 9, "stride": 2, "depth": 2, "expand_ratio": 1, "se_ratio": 4}
    network = EfficientNetV2(
        spec=spec,
        stem={"filters": 16, "kernel": 8, "stride": 2},
        blocks=[{**stage, "expand_ratio": 2}, {**stage, "filters": 24, "depth": 1}],
        dropout=0.1,
        drop_connect=0.1,
    )
    for module in network.modules():
        if isinstance(module, torch.nn.Conv1d | torch.nn.Linear) and module.bias is not None:
            torch.nn.init.normal_(module.bias, std=0.5)
    with torch.no_grad():
        for seed in range(10):
            network(torch.from_numpy(beats(16, spec, seed)))
    return network


@pytest.fixture(scope="session")
def quantizer() -> StaticInt8:
    return StaticInt8(
        n_calibration=48,
        method="minmax",
        percentile=99.9,
        equalize=False,
        bias_correction=False,
        tie_free=True,
        sensitivity=0,
        max_drop=None,
    )


@pytest.fixture(scope="session")
def example(tmp_path_factory: pytest.TempPathFactory, quantizer: StaticInt8) -> Example:
    folder = tmp_path_factory.mktemp("example")
    torch.manual_seed(3)
    network = small_network(SPEC)
    float_onnx = export_onnx(network, SPEC, folder / "float.onnx")
    calibration = beats(quantizer.n_calibration, SPEC, 100)
    int8_onnx = quantizer.quantize(float_onnx, calibration, folder / "int8.onnx")
    return Example(SPEC, network, float_onnx, int8_onnx, calibration, beats(64, SPEC, 200))
