"""EfficientNet for images (Tan and Le, 2019), with the constants of torchvision's."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor, nn

from ecgexp.architecture.blocks import DropConnect
from ecgexp.architecture.layout import check_images, check_rate, read_record, read_records
from ecgexp.types import SignalSpec

_SQUEEZE = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class Ends:
    """Channels of the first convolution, 3 x 3 with stride 2, and of the last, 1 x 1."""

    first: int
    last: int


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageStage:
    """`depth` inverted bottlenecks, the first of which has the stride.

    Attributes:
        filters: Channels out.
        kernel: Rows and columns of the depthwise convolution.
        stride: Its step, down and across.
        depth: Blocks in the stage.
        expand_ratio: Channels inside the block per channel in; 1 leaves the expansion out.
    """

    filters: int
    kernel: int
    stride: int
    depth: int
    expand_ratio: int


def _conv(c_in: int, filters: int, kernel: int, *, stride: int = 1, groups: int = 1) -> list[Any]:
    half = (kernel - 1) // 2
    convolution = nn.Conv2d(c_in, filters, kernel, stride, half, groups=groups, bias=False)
    return [convolution, nn.BatchNorm2d(filters)]


class Gate(nn.Module):
    """Squeeze-excite: scale every channel by a gate computed from the means of all channels.

    Args:
        channels: Channels in and out.
        hidden: Channels of the bottleneck.
    """

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.weigh = nn.Sequential(
            nn.Conv2d(channels, hidden, 1), nn.SiLU(), nn.Conv2d(hidden, channels, 1), nn.Sigmoid()
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, channel, row, column) to the same shape."""
        gated: Tensor = x * self.weigh(x.mean((-2, -1), keepdim=True))
        return gated


class ImageMbConv(nn.Module):
    """Expand, depthwise convolution, squeeze-excite, project.

    Args:
        c_in: Channels in.
        stage: Sizes; `depth` is not read.
        stride: Step of the depthwise convolution.
        drop_connect: Rate with which a residual branch is dropped in training.
    """

    def __init__(self, c_in: int, stage: ImageStage, *, stride: int, drop_connect: float) -> None:
        super().__init__()
        inner = c_in * stage.expand_ratio
        layers: list[nn.Module] = []
        if stage.expand_ratio != 1:
            layers += [*_conv(c_in, inner, 1), nn.SiLU()]
        layers += [*_conv(inner, inner, stage.kernel, stride=stride, groups=inner), nn.SiLU()]
        layers += [Gate(inner, max(1, c_in // _SQUEEZE)), *_conv(inner, stage.filters, 1)]
        self.residual = c_in == stage.filters and stride == 1
        if self.residual:
            layers.append(DropConnect(drop_connect))
        self.branch = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, channel, row, column) to (batch, filter, row / stride, column / stride)."""
        y: Tensor = self.branch(x)
        return x + y if self.residual else y


class EfficientNet(nn.Module):
    """First convolution, stages of inverted bottlenecks, last convolution, mean, dense layer.

    Args:
        spec: Leads in and classes out.
        ends: Fields of `Ends`.
        blocks: Fields of `ImageStage`: one mapping per stage, or one mapping with a list per field.
        dropout: Rate before the dense layer.
        drop_connect: Rate of the last residual branch; earlier ones get proportionally less.

    Raises:
        ConfigError: A size is missing, unknown or not positive, or windows are no images.
    """

    reads_images: ClassVar[bool] = True

    def __init__(
        self,
        *,
        spec: SignalSpec,
        ends: Mapping[str, Any],
        blocks: Sequence[Mapping[str, Any]] | Mapping[str, Any],
        dropout: float,
        drop_connect: float,
    ) -> None:
        super().__init__()
        widths = read_record(Ends, ends, "architecture.ends")
        stages = read_records(ImageStage, blocks, "architecture.blocks")
        rate = check_rate(drop_connect, "architecture.drop_connect")
        self.features = nn.Sequential(
            *_conv(check_images(spec), widths.first, 3, stride=2), nn.SiLU()
        )
        channels, built, total = widths.first, 0, sum(stage.depth for stage in stages)
        for stage in stages:
            for repeat in range(stage.depth):
                share = rate * built / total
                stride = stage.stride if repeat == 0 else 1
                self.features.append(
                    ImageMbConv(channels, stage, stride=stride, drop_connect=share)
                )
                channels, built = stage.filters, built + 1
        self.features.extend([*_conv(channels, widths.last, 1), nn.SiLU()])
        self.dropout = nn.Dropout(check_rate(dropout, "architecture.dropout"))
        self.head = nn.Linear(widths.last, spec.n_classes)
        _initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        """Map float32 images (batch, lead, row, column) to logits (batch, class)."""
        logits: Tensor = self.head(self.dropout(self.features(x).mean((-2, -1))))
        return logits


def _initialise(network: nn.Module) -> None:
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out")
        elif isinstance(module, nn.Linear):
            bound = 1.0 / math.sqrt(module.out_features)
            nn.init.uniform_(module.weight, -bound, bound)
        if isinstance(module, nn.Conv2d | nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)
