"""Networks over images against the published table, stage by stage."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from ecgexp.architecture.efficientnet import EfficientNet, ImageMbConv, ImageStage
from ecgexp.config.build import build
from ecgexp.config.compose import compose
from tests.architecture.conftest import IMAGE


def network(option: str) -> nn.Module:
    torch.manual_seed(0)
    config = compose("config", [f"architecture={option}"]).config
    built: nn.Module = build(config["architecture"], path="architecture", spec=IMAGE)
    return built


def test_efficientnet_b0_follows_the_paper() -> None:
    """Tan and Le (2019), table 1, at 224 x 224: resolution and channels behind every stage."""
    net = network("efficientnet_b0").eval()
    assert isinstance(net, EfficientNet)
    seen: list[tuple[int, int]] = []
    for module in net.features:
        if isinstance(module, ImageMbConv | nn.SiLU):
            module.register_forward_hook(lambda _m, _i, y: seen.append((y.shape[1], y.shape[2])))
    net(torch.zeros(1, 1, 224, 224))
    depths = [1, 1, 2, 2, 3, 3, 4, 1, 1]
    ends = [(32, 112), (16, 112), (24, 56), (40, 28), (80, 14), (112, 14), (192, 7), (320, 7)]
    expected = [end for end, depth in zip([*ends, (1280, 7)], depths, strict=True) for _ in [depth]]
    lasts = np.cumsum(depths) - 1
    assert [seen[last] for last in lasts] == expected
    assert len(seen) == sum(depths)


def test_residual_only_where_shapes_agree() -> None:
    stage = ImageStage(filters=24, kernel=5, stride=2, depth=2, expand_ratio=6)
    first = ImageMbConv(16, stage, stride=2, drop_connect=0.0)
    second = ImageMbConv(24, stage, stride=1, drop_connect=0.5).eval()
    assert (first.residual, second.residual) == (False, True)
    x = torch.randn(2, 24, 9, 8)
    torch.testing.assert_close(second(x), x + second.branch(x))


def test_drop_connect_drops_whole_images() -> None:
    stage = ImageStage(filters=4, kernel=3, stride=1, depth=1, expand_ratio=1)
    block = ImageMbConv(4, stage, stride=1, drop_connect=0.5).train()
    x = torch.randn(64, 4, 6, 6)
    unchanged = [bool((y == image).all()) for y, image in zip(block(x), x, strict=True)]
    assert 15 < sum(unchanged) < 49
