"""Plain stacks of convolutions, from the smallest baseline to published million-weight nets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ecgexp.architecture.blocks import (
    Pooling,
    SameConv1d,
    SameMaxPool1d,
    ValidMaxPool1d,
    batch_norm,
    conv_norm,
    initialise,
)
from ecgexp.architecture.layout import check_choice, check_rate, read_records
from ecgexp.errors import ConfigError
from ecgexp.types import SignalSpec

PADDINGS = ("same", "half")
NORMS = ("none", "before_relu", "after_relu")
HEADS = ("mean", "flatten")


@dataclass(frozen=True, kw_only=True, slots=True)
class Layer:
    """One convolution with ReLU and max-pooling.

    Attributes:
        filters: Channels out.
        kernel: Width of the convolution in samples.
        stride: Step of the convolution in samples.
        pool: Width of the max-pooling in samples.
        pool_stride: Step of the max-pooling; with `pool` 1 there is none.
        separable: Run the kernel over each channel by itself, then mix channels by a convolution
            of width one.
    """

    filters: int
    kernel: int
    stride: int
    pool: int
    pool_stride: int
    separable: bool


class Cnn(nn.Module):
    """Convolution layers, mean or flattening, at most one hidden dense layer, logits.

    Args:
        spec: Leads in, samples (read by `head` flatten) and classes out.
        layers: Fields of `Layer`: one mapping per layer, or one mapping with a list per field.
        padding: `same` pads convolutions and poolings as Keras does; `half` pads convolutions by
            (kernel - 1) // 2 on both sides and poolings not at all.
        norm: Where batch normalisation stands: `none`, `before_relu` or `after_relu`. A
            convolution with normalisation right behind it has no bias.
        norm_layers: How many of the first layers are normalised.
        head: `mean` over time, or `flatten`, which fixes the length of a window.
        hidden: Units of the dense layer in front of the logits; 0 for none.
        dropout: Rate before the logits.

    Raises:
        ConfigError: A size cannot be used, or the window is too short for the layers.
    """

    def __init__(
        self,
        *,
        spec: SignalSpec,
        layers: Sequence[Mapping[str, Any]] | Mapping[str, Any],
        padding: str,
        norm: str,
        norm_layers: int,
        head: str,
        hidden: int,
        dropout: float,
    ) -> None:
        super().__init__()
        for name, count in (("norm_layers", norm_layers), ("hidden", hidden)):
            if not isinstance(count, int) or isinstance(count, bool) or count < 0:
                raise ConfigError(f"architecture.{name}={count!r}: write an integer of at least 0")
        same = check_choice(padding, PADDINGS, "architecture.padding") == "same"
        check_choice(norm, NORMS, "architecture.norm")
        self.features = nn.Sequential()
        channels = spec.n_leads
        for index, layer in enumerate(read_records(Layer, layers, "architecture.layers")):
            placed = norm if index < norm_layers else "none"
            self.features.extend(_layer(channels, layer, same=same, norm=placed))
            channels = layer.filters
        if check_choice(head, HEADS, "architecture.head") == "mean":
            self.features.append(Pooling(["mean"], "architecture.head"))
        else:
            self.features.append(nn.Flatten())
            channels = _flat_size(self.features, spec)
        self.head = nn.Sequential()
        if hidden:
            self.head.extend([nn.Linear(channels, hidden), nn.ReLU()])
        self.head.append(nn.Dropout(check_rate(dropout, "architecture.dropout")))
        self.head.append(nn.Linear(hidden or channels, spec.n_classes))
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        """Map float32 windows (batch, lead, sample) to logits (batch, class)."""
        logits: Tensor = self.head(self.features(x))
        return logits


def _layer(c_in: int, layer: Layer, *, same: bool, norm: str) -> list[nn.Module]:
    modules: list[nn.Module] = []
    kernel, stride = layer.kernel, layer.stride
    if layer.separable:
        modules += [conv_norm(c_in, c_in, kernel, stride=stride, groups=c_in), nn.ReLU()]
        kernel = stride = 1
    bias = norm != "before_relu"
    if same:
        modules.append(SameConv1d(c_in, layer.filters, kernel, stride=stride, bias=bias))
    else:
        half = (kernel - 1) // 2
        modules.append(nn.Conv1d(c_in, layer.filters, kernel, stride, half, bias=bias))
    modules.append(nn.ReLU())
    if norm != "none":
        modules.insert(len(modules) - (norm == "before_relu"), batch_norm(layer.filters))
    if layer.pool != 1:
        pool = SameMaxPool1d if same else ValidMaxPool1d
        modules.append(pool(layer.pool, layer.pool_stride))
    return modules


def _flat_size(features: nn.Sequential, spec: SignalSpec) -> int:
    training = features.training
    try:
        with torch.no_grad():
            flat = features.eval()(torch.zeros(1, spec.n_leads, spec.n_samples))
    except RuntimeError as error:
        raise ConfigError(
            f"architecture.layers: a window of {spec.n_samples} samples is too short for them "
            f"({str(error).splitlines()[0]}); use fewer layers, smaller strides or longer windows"
        ) from error
    finally:
        features.train(training)
    return int(flat.shape[1])
