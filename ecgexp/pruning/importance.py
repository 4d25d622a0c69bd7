"""How much a channel matters, by name; torch-pruning does the sums over coupled layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch_pruning as tp
from torch import Tensor, nn

from ecgexp.errors import ConfigError

NAMES = ("l1", "l2", "taylor", "bn_scale")


def importance(name: str, network: nn.Module) -> Any:
    """Return torch-pruning's measure of a channel.

    Args:
        name: `l1` and `l2`: norm of the weights (Li et al. 2017); `taylor`: weight times gradient
            (Molchanov et al. 2019); `bn_scale`: size of the batch normalisation's scale (Liu et al.
            2017).
        network: The network to prune.

    Raises:
        ConfigError: The name is unknown, or `bn_scale` finds no batch normalisation.
    """
    if name not in NAMES:
        raise ConfigError(f"pruning.importance={name!r}: use one of {', '.join(NAMES)}")
    if name == "taylor":
        return tp.importance.GroupTaylorImportance()
    if name == "bn_scale":
        if not any(isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d) for m in network.modules()):
            raise ConfigError(
                "pruning.importance=bn_scale: the network has no batch normalisation; use l1, l2 "
                "or taylor"
            )
        return tp.importance.BNScaleImportance()
    # torch-pruning's own default is p=2, whatever a paper that uses it says.
    return tp.importance.GroupMagnitudeImportance(p=1 if name == "l1" else 2)


def accumulate_gradients(
    network: nn.Module,
    batches: list[tuple[Tensor, Tensor]],
    loss: Callable[[Tensor, Tensor], Tensor],
) -> None:
    """Leave the mean gradient of training batches in the parameters, for `taylor`.

    Args:
        network: Maps x (batch, ...) to logits (batch, class); statistics are left alone.
        batches: Windows and classes.
        loss: Of logits and classes.
    """
    network.eval()
    network.zero_grad()
    with torch.enable_grad():
        for x, y in batches:
            (loss(network(x), y) / len(batches)).backward()  # type: ignore[no-untyped-call]
