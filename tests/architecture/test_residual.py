"""Residual networks: the published trunk, its two heads, shortcuts, dilation."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from ecgexp.architecture.resnet1d import Block, ResidualBlock
from ecgexp.architecture.resnet_hannun import ResNetHannun
from ecgexp.config.build import build
from ecgexp.config.compose import compose
from ecgexp.errors import ConfigError
from ecgexp.types import SignalSpec

SPEC = SignalSpec(fs_hz=300.0, leads=("I",), n_samples=1024, labels=("A", "N", "O", "~"))
SMALL: dict[str, Any] = {
    "stem": {"filters": 4, "kernel": 5, "stride": 1},
    "blocks": {"filters": [4, 8], "kernel": 5, "stride": [1, 4]},
    "bias": True,
    "logits": "window",
    "dropout": 0.0,
}


def option(name: str, *changes: str) -> torch.nn.Module:
    node = compose("config", [f"architecture={name}", *changes]).config["architecture"]
    network: torch.nn.Module = build(node, path="architecture", spec=SPEC)
    return network.eval()


def test_hannun_trunk_follows_the_table() -> None:
    network = option("resnet34_hannun")
    seen: list[tuple[int, int]] = []
    for module in network.features:
        module.register_forward_hook(lambda _m, _i, y: seen.append((y.shape[1], y.shape[2])))
    network(torch.zeros(1, 1, 1024))
    assert [seen[2], seen[6], seen[10], seen[14], seen[18]] == [
        (32, 1024),
        (32, 256),
        (64, 64),
        (128, 16),
        (256, 4),
    ]


def test_hannun_has_34_layers_of_weights() -> None:
    modules = option("resnet34_hannun").modules()
    assert sum(isinstance(m, torch.nn.Conv1d | torch.nn.Linear) for m in modules) == 34


def test_mean_of_step_logits_is_the_window_logits() -> None:
    torch.manual_seed(0)
    window = ResNetHannun(spec=SPEC, **SMALL).eval()
    steps = ResNetHannun(spec=SPEC, **{**SMALL, "logits": "step"}).eval()
    steps.load_state_dict(window.state_dict())
    x = torch.randn(3, 1, 1024)
    torch.testing.assert_close(steps(x), window(x))
    steps.training = True  # this switch alone: layers below go on as in evaluation
    assert steps(x).shape == (3, 4, 256)
    torch.testing.assert_close(steps(x).mean(-1), window(x))


def test_published_step_is_256_samples() -> None:
    network = option("resnet34_hannun", "architecture.logits=step")
    assert network.train()(torch.zeros(2, 1, 1024)).shape == (2, 4, 4)


def test_hannun_shortcut_pools_and_adds_silent_channels() -> None:
    block = ResNetHannun(spec=SPEC, **SMALL).features[4]
    for parameter in block.branch[-1].parameters():
        parameter.data.zero_()
    x = torch.randn(2, 4, 12)
    y = block.eval()(x)
    torch.testing.assert_close(y[:, :4], torch.nn.functional.max_pool1d(x, 4))
    assert y[:, 4:].abs().sum() == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"blocks": {"filters": [8, 4], "kernel": 5, "stride": 1}}, r"blocks\[1\]\.filters=4"),
        ({"logits": "beat"}, r"architecture\.logits='beat': write one of window, step"),
        ({"dropout": 1.5}, r"architecture\.dropout=1\.5"),
    ],
)
def test_a_wrong_size_is_named(changes: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ResNetHannun(spec=SPEC, **{**SMALL, **changes})


def test_pooling_names_are_checked() -> None:
    with pytest.raises(ConfigError, match=r"architecture\.pooling=\['median'\]: write a list"):
        option("resnet1d", "architecture.pooling=[median]")


def test_residual_block_is_the_sum_of_its_branches() -> None:
    block = ResidualBlock(4, Block(filters=6, kernel=3, stride=2, dilation=2)).eval()
    x = torch.randn(2, 4, 11)
    expected = torch.relu(block.branch(x) + block.shortcut(x))
    torch.testing.assert_close(block(x), expected)
    assert block(x).shape == (2, 6, 6)
    assert len(ResidualBlock(4, Block(filters=4, kernel=3, stride=1, dilation=1)).shortcut) == 0


def test_tcn_sees_2025_samples() -> None:
    x = torch.zeros(1, 1, 4096, requires_grad=True)
    network = option("tcn")
    middle = network.features(x)[0, :, 512].sum()
    torch.autograd.grad(middle, x)
    with torch.no_grad():
        for parameter in network.features.parameters():
            parameter.abs_()
        noisy = torch.rand(1, 1, 4096) + 1
    noisy.requires_grad_()
    network.features(noisy)[0, :, 512].sum().backward()
    reached = noisy.grad[0, 0].nonzero()
    assert int(reached.max() - reached.min()) + 1 == 2025
