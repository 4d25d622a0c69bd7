"""One hidden dense layer over a window, or over the features that a window brings."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ecgexp.architecture.blocks import initialise
from ecgexp.architecture.layout import check_rate
from ecgexp.errors import ConfigError
from ecgexp.types import SignalSpec


class Dense(nn.Module):
    """Dense layer, ReLU, dense layer.

    Features are the first samples of the last lead (`SignalSpec.features`). Where a window has
    some, nothing else is read: the other weights are zero and stay zero, so that the network
    needs no slicing.

    Args:
        spec: Leads, samples, features and classes.
        hidden: Units of the hidden layer.
        dropout: Rate behind the hidden layer.

    Raises:
        ConfigError: A size cannot be used.
    """

    def __init__(self, *, spec: SignalSpec, hidden: int, dropout: float) -> None:
        super().__init__()
        if isinstance(hidden, bool) or not isinstance(hidden, int) or hidden < 1:
            raise ConfigError(f"architecture.hidden={hidden!r}: write a positive integer")
        first = nn.Linear(spec.n_leads * spec.n_samples, hidden)
        self.layers = nn.Sequential(
            nn.Flatten(),
            first,
            nn.ReLU(),
            nn.Dropout(check_rate(dropout, "architecture.dropout")),
            nn.Linear(hidden, spec.n_classes),
        )
        initialise(self)
        if spec.features:
            _confine(first, spec)

    def forward(self, x: Tensor) -> Tensor:
        """Map float32 windows (batch, lead, sample) to logits (batch, class)."""
        logits: Tensor = self.layers(x)
        return logits


def _confine(first: nn.Linear, spec: SignalSpec) -> None:
    """Keep the weights of the first layer to what reads a feature."""
    read = torch.zeros(spec.n_leads, spec.n_samples)
    read[-1, : len(spec.features)] = 1
    read = read.flatten()
    # The usual draw counts all inputs of a unit; only these are there.
    nn.init.normal_(first.weight, std=(2 / len(spec.features)) ** 0.5)
    with torch.no_grad():
        first.weight *= read

    def masked(gradient: Tensor) -> Tensor:
        return gradient * read.to(gradient.device)

    first.weight.register_hook(masked)  # type: ignore[no-untyped-call]
