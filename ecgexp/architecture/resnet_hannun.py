"""The pre-activation residual network of Hannun et al. (Nature Medicine 2019), in any size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from ecgexp.architecture.blocks import SameConv1d, SameMaxPool1d, batch_norm, initialise
from ecgexp.architecture.layout import check_choice, check_rate, read_record, read_records
from ecgexp.architecture.resnet1d import Stem
from ecgexp.errors import ConfigError
from ecgexp.types import SignalSpec

LOGITS = ("window", "step")


@dataclass(frozen=True, kw_only=True, slots=True)
class Block:
    """Two convolutions beside a max-pooled shortcut.

    Attributes:
        filters: Channels out; never fewer than in.
        kernel: Width of both convolutions in samples.
        stride: Step of the first convolution in samples.
    """

    filters: int
    kernel: int
    stride: int


class PreactivationBlock(nn.Module):
    """Normalise, ReLU, convolve, twice; the shortcut is pooled and padded with silent channels.

    Args:
        c_in: Channels in.
        block: Sizes.
        activate: Whether the first normalisation and ReLU exist; the very first block has none.
        bias: Whether convolutions have one.
        dropout: Rate before the second convolution.
    """

    def __init__(
        self, c_in: int, block: Block, *, activate: bool, bias: bool, dropout: float
    ) -> None:
        super().__init__()
        filters, kernel = block.filters, block.kernel
        self.silent = filters - c_in
        self.branch = nn.Sequential()
        if activate:
            self.branch.extend([batch_norm(c_in), nn.ReLU()])
        self.branch.extend(
            [
                SameConv1d(c_in, filters, kernel, stride=block.stride, bias=bias),
                batch_norm(filters),
                nn.ReLU(),
                nn.Dropout(dropout),
                SameConv1d(filters, filters, kernel, bias=bias),
            ]
        )
        stride = block.stride
        self.shortcut = nn.Identity() if stride == 1 else SameMaxPool1d(stride, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, channel, sample) to (batch, filter, ceil(sample / stride))."""
        shortcut: Tensor = self.shortcut(x)
        if self.silent:
            shortcut = functional.pad(shortcut, (0, 0, 0, self.silent))
        summed: Tensor = self.branch(x) + shortcut
        return summed


class ResNetHannun(nn.Module):
    """Stem, pre-activation blocks, one dense layer for every step or for the whole window.

    Args:
        spec: Leads in and classes out.
        stem: Fields of `Stem`.
        blocks: Fields of `Block`: one mapping per block, or one mapping with a list per field.
        bias: Whether convolutions have a bias although normalisation follows, as published.
        logits: `window` gives one answer per window, the mean of the steps' answers; `step` gives
            one per step (256 samples as published) while training, for objectives on sequences,
            and their mean otherwise.
        dropout: Rate inside every block.

    Raises:
        ConfigError: A size cannot be used.
    """

    def __init__(
        self,
        *,
        spec: SignalSpec,
        stem: Mapping[str, Any],
        blocks: Sequence[Mapping[str, Any]] | Mapping[str, Any],
        bias: bool,
        logits: str,
        dropout: float,
    ) -> None:
        super().__init__()
        first = read_record(Stem, stem, "architecture.stem")
        rate = check_rate(dropout, "architecture.dropout")
        channels = first.filters
        self.features = nn.Sequential(
            SameConv1d(spec.n_leads, channels, first.kernel, stride=first.stride, bias=bias),
            batch_norm(channels),
            nn.ReLU(),
        )
        for index, block in enumerate(read_records(Block, blocks, "architecture.blocks")):
            if block.filters < channels:
                raise ConfigError(
                    f"architecture.blocks[{index}].filters={block.filters}: the shortcut cannot "
                    f"lose channels; write at least {channels}"
                )
            self.features.append(
                PreactivationBlock(channels, block, activate=index > 0, bias=bias, dropout=rate)
            )
            channels = block.filters
        self.features.extend([batch_norm(channels), nn.ReLU()])
        self.per_step = check_choice(logits, LOGITS, "architecture.logits") == "step"
        self.head = nn.Linear(channels, spec.n_classes)
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        """Map float32 windows (batch, lead, sample) to logits.

        Returns:
            (batch, class), or (batch, class, step) while training with `logits` step.
        """
        features: Tensor = self.features(x)
        if self.per_step and self.training:
            steps: Tensor = self.head(features.transpose(1, 2))
            return steps.transpose(1, 2)
        # The head is linear: the mean of the steps' logits is the logits of their mean.
        logits: Tensor = self.head(features.mean(-1))
        return logits
