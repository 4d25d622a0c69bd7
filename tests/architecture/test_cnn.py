"""The published plain networks, layer by layer."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from ecgexp.architecture.cnn import Cnn
from ecgexp.config.build import build
from ecgexp.config.compose import compose
from ecgexp.types import SignalSpec


def network(option: str, n_samples: int, *changes: str) -> Cnn:
    overrides = [f"architecture={option}", *(f"architecture.{change}" for change in changes)]
    spec = SignalSpec(fs_hz=360.0, leads=("MLII",), n_samples=n_samples, labels=("a", "b", "c"))
    made: Cnn = build(compose("config", overrides).config["architecture"], path="", spec=spec)
    return made.eval()


def shapes(net: Cnn, n_samples: int, kinds: tuple[str, ...]) -> list[tuple[int, int]]:
    seen: list[tuple[int, int]] = []
    for module in net.features:
        if type(module).__name__ in kinds:
            module.register_forward_hook(lambda _m, _i, y: seen.append((y.shape[1], y.shape[2])))
    net(torch.zeros(1, 1, n_samples))
    return seen


def test_mlii17_follows_the_table() -> None:
    net = network("cnn_mlii17", 3600)
    assert shapes(net, 3600, ("Conv1d", "ValidMaxPool1d")) == [
        *((8, 1800), (8, 449), (12, 224), (12, 111), (32, 111), (32, 54), (64, 54), (64, 26)),
        *((64, 26), (64, 13), (64, 13), (64, 6), (72, 6), (72, 3)),
    ]
    assert not any(isinstance(module, nn.BatchNorm1d) for module in net.modules())


def test_mlii17_normalises_on_demand_without_biases() -> None:
    net = network("cnn_mlii17", 3600, "norm=before_relu")
    kinds = [type(module).__name__ for module in net.features[:4]]
    assert kinds == ["Conv1d", "BatchNorm1d", "ReLU", "ValidMaxPool1d"]
    assert [m.bias for m in net.features if isinstance(m, nn.Conv1d)] == [None] * 7


def test_avh_follows_the_table() -> None:
    net = network("cnn_avh", 3600)
    assert shapes(net, 3600, ("SameConv1d", "SameMaxPool1d")) == [
        *((128, 1200), (128, 400), (32, 400), (32, 200), (32, 200), (128, 100), (128, 50)),
        *((512, 50), (128, 50)),
    ]
    kinds = [type(module).__name__ for module in net.features[:9]]
    layer = ["SameConv1d", "ReLU", "BatchNorm1d", "SameMaxPool1d"]
    assert kinds == [*layer, *layer, "SameConv1d"]
    assert all(module.bias is not None for module in net.features if isinstance(module, nn.Conv1d))


def test_a_separable_layer_convolves_each_channel_then_mixes() -> None:
    net = network("dscnn", 800)
    convolutions = [module for module in net.features.modules() if isinstance(module, nn.Conv1d)]
    sizes = [(c.in_channels, c.out_channels, c.kernel_size[0], c.groups) for c in convolutions]
    assert sizes[:3] == [(1, 32, 15, 1), (32, 32, 9, 32), (32, 48, 1, 1)]


@pytest.mark.parametrize("option", ["cnn_small", "cnn_avh_small", "dscnn"])
def test_a_mean_takes_windows_of_any_length(option: str) -> None:
    assert network(option, 800)(torch.zeros(2, 1, 1234)).shape == (2, 3)
