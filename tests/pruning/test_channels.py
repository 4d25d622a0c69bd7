from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from ecgexp.config.build import build
from ecgexp.config.compose import compose
from ecgexp.errors import ConfigError
from ecgexp.pruning.channels import ChannelPruning, remove_channels
from ecgexp.pruning.importance import NAMES, importance
from ecgexp.quantization.export import export_onnx
from ecgexp.quantization.reference import run_onnx
from ecgexp.training.resize import resize
from ecgexp.types import SignalSpec

SPEC = SignalSpec(fs_hz=100.0, leads=("II",), n_samples=800, labels=("A", "B", "C"))
NETWORKS = ("cnn_small", "efficientnetv2_1d", "resnet1d", "tcn", "dscnn")


def network(name: str) -> nn.Module:
    torch.manual_seed(0)
    config = compose("config", [f"architecture={name}"], []).config
    made: nn.Module = build(config["architecture"], path="architecture", spec=SPEC)
    return made.eval()


def prune(net: nn.Module, **options: object) -> None:
    settings = {"ratio": 0.5, "is_global": False, "max_layer_ratio": 0.9, "round_to": 4}
    remove_channels(
        net, torch.zeros(1, 1, 800), measure=importance("l1", net), **{**settings, **options}
    )


@pytest.mark.parametrize("name", NETWORKS)
def test_a_pruned_network_is_its_architecture_and_its_tensors(name: str, tmp_path: Path) -> None:
    pruned = network(name)
    before = sum(p.numel() for p in pruned.parameters())
    prune(pruned)
    assert sum(p.numel() for p in pruned.parameters()) < 0.6 * before

    again = network(name)
    resize(again, pruned.state_dict())
    again.load_state_dict(pruned.state_dict())
    x = torch.randn(3, 1, 800)
    with torch.no_grad():
        assert torch.equal(again(x), pruned(x))
        expected = again(x).numpy()
    onnx = export_onnx(again, SPEC, tmp_path / "net.onnx")
    assert np.abs(run_onnx(onnx, x.numpy()) - expected).max() < 1e-4


@pytest.mark.parametrize("is_global", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_every_importance_and_scope(name: str, is_global: bool) -> None:
    net = network("efficientnetv2_1d")
    for parameter in net.parameters():
        parameter.grad = torch.randn_like(parameter)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm1d):
            nn.init.uniform_(module.weight)
    before = sum(p.numel() for p in net.parameters())
    remove_channels(
        net,
        torch.zeros(1, 1, 800),
        ratio=0.5,
        measure=importance(name, net),
        is_global=is_global,
        max_layer_ratio=0.9,
        round_to=4,
    )
    assert sum(p.numel() for p in net.parameters()) < 0.7 * before
    assert net(torch.zeros(2, 1, 800)).shape == (2, 3)


def test_the_least_important_channels_go() -> None:
    net = nn.Sequential(
        nn.Conv1d(1, 8, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 800, 3)
    )
    with torch.no_grad():
        net[0].weight.copy_(torch.arange(1, 9.0)[:, None, None].expand(8, 1, 3))
        net[3].weight.fill_(1.0)
    prune(net)
    assert net[0].weight[:, 0, 0].tolist() == [5.0, 6.0, 7.0, 8.0]
    assert net[3].in_features == 4 * 800


def test_l1_and_l2_disagree_where_they_should() -> None:
    kept = {}
    for name in ("l1", "l2"):
        net = nn.Sequential(nn.Conv1d(1, 4, 4), nn.Flatten(), nn.Linear(4 * 797, 3))
        with torch.no_grad():
            rows = [[3.0, 0, 0, 0], [1.0, 1, 1, 1], [2.5, 0, 0, 0], [0.9, 0.9, 0.9, 0.9]]
            net[0].weight.copy_(torch.tensor(rows)[:, None])
            net[2].weight.fill_(1e-6)
        remove_channels(
            net,
            torch.zeros(1, 1, 800),
            ratio=0.5,
            measure=importance(name, net),
            is_global=False,
            max_layer_ratio=0.9,
            round_to=1,
        )
        kept[name] = sorted(net[0].weight[:, 0].sum(1).tolist())
    assert kept == {"l1": pytest.approx([3.6, 4.0]), "l2": pytest.approx([2.5, 3.0])}


def options(**changes: object) -> dict[str, object]:
    made = {
        "importance": "l1", "scope": "uniform", "ratio": 0.5, "max_layer_ratio": 0.9, "n_steps": 1,
        "round_to": 4, "n_batches": 2, "max_epochs": 1, "optimizer": None,
    }  # fmt: skip
    return {**made, **changes}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ratio": 1.0}, r"pruning\.ratio=1\.0: a share above 0 and below 1; at 1 no layer"),
        ({"max_layer_ratio": 0.4}, r"pruning\.max_layer_ratio=0\.4: .* from pruning\.ratio \(0\.5"),
        ({"scope": "local"}, r"pruning\.scope='local': use uniform or global"),
        ({"n_steps": 0}, r"pruning\.n_steps=0: use 1 or more"),
    ],
)
def test_bad_options(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ChannelPruning(**options(**changes))


def test_bad_networks() -> None:
    with pytest.raises(ConfigError, match=r"pruning\.importance='magic': use one of l1, l2"):
        importance("magic", network("cnn_small"))
    plain = nn.Sequential(nn.Conv1d(1, 8, 3), nn.Flatten(), nn.Linear(8 * 798, 3))
    with pytest.raises(ConfigError, match="bn_scale: the network has no batch normalisation"):
        importance("bn_scale", plain)
    with pytest.raises(ConfigError, match=r"0\.9 leaves layer 0 of 8 channels without any"):
        prune(plain, ratio=0.9)
    with pytest.raises(ConfigError, match="cannot follow the channels of ResNetHannun"):
        prune(network("resnet_hannun_small"))
