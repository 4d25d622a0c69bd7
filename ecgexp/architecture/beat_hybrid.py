"""Convolutions over a beat beside a dense layer over features that come with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ecgexp.architecture.blocks import Pooling, conv_norm, initialise
from ecgexp.architecture.layout import check_rate, read_records
from ecgexp.architecture.resnet1d import Stem
from ecgexp.errors import ConfigError
from ecgexp.types import SignalSpec


class BeatHybrid(nn.Module):
    """Convolutions over chosen leads, a dense layer over the features, one dense layer on both.

    The features are the first samples of the last lead (`SignalSpec.features`). A convolution as
    wide as the window reads them, so that the network has one input and needs no slicing:
    weights outside of what a branch reads are zero and stay zero.

    Args:
        spec: Leads, samples, features and classes.
        layers: Filters, kernel and stride of each convolution: one mapping per layer, or one
            mapping with a list per field.
        wave_leads: Positions of the leads that the convolutions read; null for every lead that
            does not hold features.
        pooling: `mean` and `max` over time; both are concatenated.
        hidden: Units over the features; not used when the spec has none.
        wave_dropout: Rate behind the pooling.
        feature_dropout: Rate behind the units over the features.

    Raises:
        ConfigError: A size cannot be used, or a lead does not exist.
    """

    def __init__(
        self,
        *,
        spec: SignalSpec,
        layers: Sequence[Mapping[str, Any]] | Mapping[str, Any],
        wave_leads: Sequence[int] | None,
        pooling: Sequence[str],
        hidden: int,
        wave_dropout: float,
        feature_dropout: float,
    ) -> None:
        super().__init__()
        n_waves = spec.n_leads - bool(spec.features)
        chosen = tuple(range(n_waves)) if wave_leads is None else tuple(wave_leads)
        if not chosen or not set(chosen) <= set(range(n_waves)):
            raise ConfigError(
                f"architecture.wave_leads={wave_leads!r}: choose among the leads 0 to "
                f"{n_waves - 1} of {', '.join(spec.leads)}, or null"
            )
        self.waves = nn.Sequential()
        channels = spec.n_leads
        for layer in read_records(Stem, layers, "architecture.layers"):
            convolution = conv_norm(channels, layer.filters, layer.kernel, stride=layer.stride)
            self.waves.extend([convolution, nn.ReLU()])
            channels = layer.filters
        self.waves.append(Pooling(pooling, "architecture.pooling"))
        self.waves.append(nn.Dropout(check_rate(wave_dropout, "architecture.wave_dropout")))
        channels *= len(pooling)
        rate = check_rate(feature_dropout, "architecture.feature_dropout")
        self.features = nn.Sequential()
        if spec.features:
            if isinstance(hidden, bool) or not isinstance(hidden, int) or hidden < 1:
                raise ConfigError(f"architecture.hidden={hidden!r}: write a positive integer")
            wide = nn.Conv1d(spec.n_leads, hidden, spec.n_samples)
            self.features.extend([wide, nn.ReLU(), nn.Flatten(), nn.Dropout(rate)])
            channels += hidden
        self.head = nn.Linear(channels, spec.n_classes)
        initialise(self)
        self._confine(spec, chosen)

    def forward(self, x: Tensor) -> Tensor:
        """Map float32 windows (batch, lead, sample) to logits (batch, class)."""
        found: Tensor = self.waves(x)
        if len(self.features):
            found = torch.cat([found, self.features(x)], 1)
        logits: Tensor = self.head(found)
        return logits

    def _confine(self, spec: SignalSpec, wave_leads: Sequence[int]) -> None:
        """Keep the weights of both first layers to what their branch reads."""
        read = torch.zeros(1, spec.n_leads, 1)
        read[:, list(wave_leads)] = 1
        _confine(_first_convolution(self.waves), read)
        if spec.features:
            read = torch.zeros(1, spec.n_leads, spec.n_samples)
            read[:, -1, : len(spec.features)] = 1
            wide = _first_convolution(self.features)
            # He's draw counts all weights of a unit; only these are there.
            nn.init.normal_(wide.weight, std=(2 / len(spec.features)) ** 0.5)
            _confine(wide, read)


def _first_convolution(branch: nn.Module) -> nn.Conv1d:
    return next(module for module in branch.modules() if isinstance(module, nn.Conv1d))


def _confine(convolution: nn.Conv1d, read: Tensor) -> None:
    with torch.no_grad():
        convolution.weight *= read

    def masked(gradient: Tensor) -> Tensor:
        return gradient * read.to(gradient.device)

    convolution.weight.register_hook(masked)  # type: ignore[no-untyped-call]
