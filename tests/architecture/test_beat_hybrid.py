"""The network of beats in context: each branch reads its own part of the window, for good."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ecgexp.architecture.size import measure_size
from ecgexp.config.build import build
from ecgexp.config.compose import compose
from ecgexp.errors import ConfigError
from ecgexp.quantization.export import export_onnx
from ecgexp.quantization.reference import run_onnx
from ecgexp.types import SignalSpec

SPEC = SignalSpec(
    fs_hz=120.0,
    leads=("MLII", "MLII - median beat", "context"),
    n_samples=84,
    labels=("N", "S", "V", "F"),
    features=tuple(f"feature {number}" for number in range(20)),
)


def make(spec: SignalSpec = SPEC, **changes: Any) -> torch.nn.Module:
    torch.manual_seed(0)
    node = compose("config", ["architecture=beat_hybrid"]).config["architecture"]
    return build(node | changes, path="architecture", spec=spec)


def read_by(network: torch.nn.Module) -> torch.Tensor:
    """Return which inputs move a logit, (lead, sample)."""
    x = torch.randn(16, 3, 84, requires_grad=True)
    network.eval()(x).square().sum().backward()
    return x.grad.abs().sum(0) > 0


def test_features_are_read_and_what_is_behind_them_is_not() -> None:
    read = read_by(make())
    assert read[:2].all()
    assert read[2, :20].all()
    assert not read[2, 20:].any()
    only_difference = read_by(make(wave_leads=[1]))
    assert not only_difference[0].any()
    assert only_difference[1].all()


def test_training_leaves_the_branches_apart() -> None:
    network = make(wave_leads=[1]).train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.01, weight_decay=0.1)
    for _ in range(5):
        loss = torch.nn.functional.cross_entropy(
            network(torch.randn(32, 3, 84)), torch.randint(4, (32,))
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    read = read_by(network)
    assert not read[0].any()
    assert not read[2, 20:].any()
    assert read[2, :20].all()


def test_size_and_export(tmp_path: Path) -> None:
    network = make().eval()
    assert measure_size(network, SPEC).trainable == 10_936 < 50_000
    x = np.random.default_rng(0).normal(size=(4, 3, 84)).astype(np.float32)
    path = export_onnx(network, SPEC, tmp_path / "net.onnx")
    with torch.no_grad():
        expected = network(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(run_onnx(path, x), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"wave_leads": [2]}, r"wave_leads=\[2\]: choose among the leads 0 to 1 of MLII, MLII - "),
        ({"wave_leads": []}, r"wave_leads=\[\]: choose among"),
        ({"hidden": 0}, r"architecture\.hidden=0: write a positive integer"),
        ({"feature_dropout": 1.0}, r"architecture\.feature_dropout=1\.0: write a rate"),
    ],
)
def test_refuses_what_it_cannot_read(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make(**changes)
