"""The guide network against the published table, layer by layer."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import yaml
from torch import nn

from ecgexp.architecture.blocks import DropConnect
from ecgexp.architecture.efficientnetv2_1d import EfficientNetV2, MbConv, Stage, round_to_8
from ecgexp.resources import resource_folder
from ecgexp.types import SignalSpec


def guide(spec: SignalSpec) -> EfficientNetV2:
    path = resource_folder("conf") / "architecture" / "efficientnetv2_1d.yaml"
    node: dict[str, Any] = yaml.safe_load(path.read_text())
    del node["_target_"]
    return EfficientNetV2(spec=spec, **node)


def test_shapes_follow_the_table(guide_spec: SignalSpec) -> None:
    network = guide(guide_spec).eval()
    seen: list[tuple[int, int]] = []
    for module in (network.stem, *network.blocks):
        module.register_forward_hook(lambda _m, _i, y: seen.append((y.shape[2], y.shape[1])))
    network(torch.zeros(1, 1, 800))
    assert seen == [(400, 24), (200, 24), (100, 32), (50, 48), (25, 64), (13, 80), (7, 96)]


def test_batch_norm_is_keras_batch_norm(guide_spec: SignalSpec) -> None:
    norms = [m for m in guide(guide_spec).modules() if isinstance(m, nn.BatchNorm1d)]
    assert len(norms) == 13
    assert {(norm.eps, norm.momentum) for norm in norms} == {(1e-3, 0.1)}


def test_weights_are_he_normal(guide_spec: SignalSpec) -> None:
    torch.manual_seed(0)
    for module in guide(guide_spec).modules():
        if isinstance(module, nn.Conv1d) and module.weight.numel() > 2000:
            fan_in = module.weight[0].numel()
            assert module.weight.std().item() == pytest.approx(np.sqrt(2 / fan_in), rel=0.1)
            assert module.weight.mean().abs().item() < 0.02


def test_gate_is_the_keras_hard_sigmoid(guide_spec: SignalSpec) -> None:
    gate = guide(guide_spec).blocks[0].branch[3].gate
    x = torch.linspace(-5, 5, 101)
    torch.testing.assert_close(gate(x), torch.clamp(x + 3, 0, 6) / 6)


def test_residual_only_where_shapes_agree(guide_spec: SignalSpec) -> None:
    assert not any(block.residual for block in guide(guide_spec).blocks)
    stage = Stage(filters=24, kernel=9, stride=2, depth=2, expand_ratio=2, se_ratio=4)
    first = MbConv(16, stage, stride=2, drop_connect=0.0)
    second = MbConv(24, stage, stride=1, drop_connect=0.5)
    assert (first.residual, second.residual) == (False, True)
    x = torch.randn(2, 24, 50)
    second.eval()
    torch.testing.assert_close(second(x), x + second.branch(x))


def test_drop_connect_drops_whole_windows_and_keeps_the_mean() -> None:
    torch.manual_seed(0)
    layer = DropConnect(0.25).train()
    y = layer(torch.ones(4000, 2, 3))
    assert set(y.flatten(1).std(1).tolist()) == {0.0}
    assert y.mean().item() == pytest.approx(1.0, abs=0.03)
    assert (y[:, 0, 0] == 0).float().mean().item() == pytest.approx(0.25, abs=0.03)
    torch.testing.assert_close(layer.eval()(torch.ones(2, 2, 3)), torch.ones(2, 2, 3))


@pytest.mark.parametrize(("filters", "rounded"), [(1, 8), (24, 24), (30, 32), (36, 40), (75, 72)])
def test_filters_round_to_eight(filters: int, rounded: int) -> None:
    assert round_to_8(filters) == rounded
