"""The code of a layer, kept inside the layer, so that a checkpoint of the network holds it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

import torch
from torch import Tensor, nn

from ecgexp.errors import ConfigError
from ecgexp.quantization.alq.layout import Layout, Structure
from ecgexp.quantization.alq.sketch import Code, sketch

NAME = "alq"
"""Name of the submodule of a quantized layer."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LayerRule:
    """How layers of matching names are cut.

    Attributes:
        match: Pattern of names like `features.0`, with `*`; the first rule that matches counts.
        structure: See `Layout`.
        parts: See `Layout`.
        most_bits: Most bases of a group; a group has never more than it has weights.

    Raises:
        ConfigError: `most_bits` is out of range.
    """

    match: str
    structure: Structure
    parts: int
    most_bits: int

    def __post_init__(self) -> None:
        if not 1 <= self.most_bits <= 8:
            raise ConfigError(
                f"quantization.layers: most_bits={self.most_bits} of {self.match!r}: use 1..8"
            )


class Groups(nn.Module):
    """Bases and coordinates of a layer's weights; the layer computes with their sum.

    Attributes:
        layout: How the weights are cut.
        bases: -1 or +1 (group, basis, weight) int8.
        coordinates: (group, basis).
        live: Whether there is a basis (group, basis).
        unit: Step of int8 coordinates (c_out,), once they are rounded.
    """

    bases: Tensor
    coordinates: Tensor
    live: Tensor
    unit: Tensor

    def __init__(self, layout: Layout, most_bits: int) -> None:
        super().__init__()
        self.layout = layout
        shape = (layout.n_groups, min(most_bits, layout.group_size))
        self.register_buffer("bases", torch.ones(*shape, layout.group_size, dtype=torch.int8))
        self.register_buffer("coordinates", torch.zeros(shape))
        self.register_buffer("live", torch.zeros(shape, dtype=torch.bool))
        self.register_buffer("unit", torch.ones(layout.shape[0]))

    @property
    def code(self) -> Code:
        """Bases, coordinates and where they are."""
        return Code(self.bases.to(self.coordinates.dtype), self.coordinates, self.live)

    def keep(self, code: Code) -> None:
        """Take over a code."""
        self.bases.copy_(code.bases.to(torch.int8))
        self.coordinates.copy_(code.coordinates)
        self.live.copy_(code.live)

    @property
    def weight(self) -> Tensor:
        """What the layer computes with, of the layer's own shape."""
        return self.layout.join(self.code.weights())


def plan(
    network: nn.Module, rules: Sequence[LayerRule]
) -> dict[str, tuple[nn.Module, Layout, LayerRule]]:
    """Return every convolution and dense layer by name, how it is cut, and by which rule.

    Args:
        network: The network.
        rules: How to cut; every layer must match one.

    Raises:
        ConfigError: A layer matches no rule, cannot be cut as its rule says, or there is no layer.
    """
    layers: dict[str, nn.Module] = {
        name: module
        for name, module in network.named_modules()
        if isinstance(module, nn.Conv1d | nn.Conv2d | nn.Linear)
    }
    if not layers:
        raise ConfigError("quantization: the network has no convolution or dense layer to quantize")
    planned = {}
    for name, layer in layers.items():
        rule = next((rule for rule in rules if fnmatchcase(name, rule.match)), None)
        if rule is None:
            patterns = ", ".join(rule.match for rule in rules)
            raise ConfigError(
                f"quantization.layers: no rule matches layer {name!r} (rules: {patterns}); "
                "add one, for example with match: '*'"
            )
        shape = tuple(layer.get_parameter("weight").shape)
        planned[name] = (layer, Layout(shape, rule.structure, rule.parts), rule)
    return planned


def attach(network: nn.Module, rules: Sequence[LayerRule]) -> dict[str, nn.Module]:
    """Give every convolution and dense layer its groups, sketched from its weights.

    Args:
        network: Changed in place: weights become what their groups say.
        rules: How to cut; every layer must match one.

    Returns:
        The quantized layers by name.

    Raises:
        ConfigError: As `plan`.
    """
    planned = plan(network, rules)
    for layer, layout, rule in planned.values():
        weight = layer.get_parameter("weight").detach()
        groups = Groups(layout, rule.most_bits)
        groups.keep(sketch(layout.split(weight), rule.most_bits))
        layer.add_module(NAME, groups.to(weight.device))
        settle(layer)
    return {name: layer for name, (layer, _, _) in planned.items()}


def groups_of(network: nn.Module) -> dict[str, Groups]:
    """Return the groups of every quantized layer by the layer's name."""
    return {
        name.removesuffix(f".{NAME}"): module
        for name, module in network.named_modules()
        if isinstance(module, Groups)
    }


@torch.no_grad()
def settle(layer: nn.Module) -> None:
    """Make a layer's weights what its groups say."""
    groups = layer.get_submodule(NAME)
    if not isinstance(groups, Groups):
        raise TypeError(f"{type(layer).__name__} has no groups")
    layer.get_parameter("weight").copy_(groups.weight)
