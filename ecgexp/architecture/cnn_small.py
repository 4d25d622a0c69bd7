"""A small plain convolutional network, the baseline that a better idea must beat."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from ecgexp.architecture.blocks import SameMaxPool1d, conv_norm, initialise
from ecgexp.architecture.layout import check_rate, read_records
from ecgexp.types import SignalSpec


@dataclass(frozen=True, kw_only=True, slots=True)
class Layer:
    """One convolution with normalisation, ReLU and pooling.

    Attributes:
        filters: Channels out.
        kernel: Width of the convolution in samples.
        pool: Width of the max-pooling behind it in samples; 1 for none.
    """

    filters: int
    kernel: int
    pool: int


class CnnSmall(nn.Module):
    """Convolution layers, global mean, one dense layer.

    Args:
        spec: Leads in and classes out.
        layers: One mapping with the fields of `Layer` per layer.
        dropout: Rate before the dense layer.

    Raises:
        ConfigError: A size is missing, unknown or not positive.
    """

    def __init__(
        self, *, spec: SignalSpec, layers: Sequence[Mapping[str, Any]], dropout: float
    ) -> None:
        super().__init__()
        self.features = nn.Sequential()
        channels = spec.n_leads
        for layer in read_records(Layer, layers, "architecture.layers"):
            self.features.append(conv_norm(channels, layer.filters, layer.kernel))
            self.features.append(nn.ReLU())
            if layer.pool != 1:
                self.features.append(SameMaxPool1d(layer.pool))
            channels = layer.filters
        self.dropout = nn.Dropout(check_rate(dropout, "architecture.dropout"))
        self.head = nn.Linear(channels, spec.n_classes)
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        """Map float32 windows (batch, lead, sample) to logits (batch, class)."""
        logits: Tensor = self.head(self.dropout(self.features(x).mean(-1)))
        return logits
