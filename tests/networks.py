"""Networks that several tests and benches need: built, exported and quantized for real."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ecgexp.types import SignalSpec

GUIDE_SPEC = SignalSpec(
    fs_hz=100.0, leads=("MLII",), n_samples=800, labels=("SR", "SB", "AFIB", "GSVT")
)


def guide_float(folder: Path, seed: int = 0) -> Path:
    """HeartKit's guide model with random weights and settled batch-norm statistics."""
    import torch

    from ecgexp.config.build import build
    from ecgexp.config.compose import compose
    from ecgexp.quantization.export import export_onnx

    torch.manual_seed(seed)
    node = compose("config", ["architecture=efficientnetv2_1d"]).config["architecture"]
    network = build(node, path="architecture", spec=GUIDE_SPEC)
    network.train()
    with torch.no_grad():
        for _ in range(8):
            network(torch.from_numpy(windows(16, seed)))
    return export_onnx(network.eval(), GUIDE_SPEC, folder / "guide_float.onnx")


def guide_int8(folder: Path, seed: int = 0) -> Path:
    """The guide model after `quantization=ptq_int8`."""
    from ecgexp.config.build import build
    from ecgexp.config.compose import compose

    node = compose("config", ["quantization=ptq_int8"]).config["quantization"]
    quantizer = build(node, path="quantization")
    return Path(
        quantizer.quantize(guide_float(folder, seed), windows(64, seed), folder / "guide_int8.onnx")
    )


def windows(n: int, seed: int) -> np.ndarray:
    """Noisy spikes at heart-like rates, (window, lead, sample) float32."""
    rng = np.random.default_rng(seed)
    time_s = np.arange(GUIDE_SPEC.n_samples) / GUIDE_SPEC.fs_hz
    rate_hz = rng.uniform(0.8, 2.5, (n, 1, 1))
    phase = rng.uniform(0, 1, (n, 1, 1))
    beats = np.exp(-(((time_s * rate_hz + phase) % 1.0 - 0.5) ** 2) / 0.001)
    x = 4.0 * beats + 0.3 * rng.standard_normal((n, 1, GUIDE_SPEC.n_samples))
    return x.astype(np.float32)
