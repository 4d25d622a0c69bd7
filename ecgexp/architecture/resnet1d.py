"""Residual network for one-dimensional signals; dilated it is a temporal convolutional network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from ecgexp.architecture.blocks import Pooling, SameMaxPool1d, conv_norm, initialise
from ecgexp.architecture.layout import check_rate, read_record, read_records
from ecgexp.types import SignalSpec


@dataclass(frozen=True, kw_only=True, slots=True)
class Stem:
    """The first convolution: filters, kernel and stride in samples."""

    filters: int
    kernel: int
    stride: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Block:
    """Two convolutions beside a shortcut.

    Attributes:
        filters: Channels out.
        kernel: Width of both convolutions in samples.
        stride: Step of the first convolution in samples.
        dilation: Distance of both kernels' taps in samples.
    """

    filters: int
    kernel: int
    stride: int
    dilation: int


class ResidualBlock(nn.Module):
    """Convolution, ReLU, convolution, sum with the shortcut, ReLU; all normalised.

    The shortcut is max-pooled where the block strides, and a convolution of width one where it
    changes the number of channels.

    Args:
        c_in: Channels in.
        block: Sizes.
    """

    def __init__(self, c_in: int, block: Block) -> None:
        super().__init__()
        kernel, dilation = block.kernel, block.dilation
        self.branch = nn.Sequential(
            conv_norm(c_in, block.filters, kernel, stride=block.stride, dilation=dilation),
            nn.ReLU(),
            conv_norm(block.filters, block.filters, kernel, dilation=dilation),
        )
        self.shortcut = nn.Sequential()
        if block.stride != 1:
            self.shortcut.append(SameMaxPool1d(block.stride, block.stride))
        if c_in != block.filters:
            self.shortcut.append(conv_norm(c_in, block.filters, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, channel, sample) to (batch, filter, ceil(sample / stride))."""
        return functional.relu(self.branch(x) + self.shortcut(x))


class ResNet1d(nn.Module):
    """Stem, residual blocks, pooling over time, one dense layer.

    Args:
        spec: Leads in and classes out.
        stem: Fields of `Stem`.
        blocks: Fields of `Block`: one mapping per block, or one mapping with a list per field.
        pooling: `mean` and `max` over time; both are concatenated.
        dropout: Rate before the dense layer.

    Raises:
        ConfigError: A size is missing, unknown or not positive.
    """

    def __init__(
        self,
        *,
        spec: SignalSpec,
        stem: Mapping[str, Any],
        blocks: Sequence[Mapping[str, Any]] | Mapping[str, Any],
        pooling: Sequence[str],
        dropout: float,
    ) -> None:
        super().__init__()
        first = read_record(Stem, stem, "architecture.stem")
        self.features = nn.Sequential(
            conv_norm(spec.n_leads, first.filters, first.kernel, stride=first.stride), nn.ReLU()
        )
        channels = first.filters
        for block in read_records(Block, blocks, "architecture.blocks"):
            self.features.append(ResidualBlock(channels, block))
            channels = block.filters
        self.pooling = Pooling(pooling, "architecture.pooling")
        self.dropout = nn.Dropout(check_rate(dropout, "architecture.dropout"))
        self.head = nn.Linear(channels * len(pooling), spec.n_classes)
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        """Map float32 windows (batch, lead, sample) to logits (batch, class)."""
        logits: Tensor = self.head(self.dropout(self.pooling(self.features(x))))
        return logits
