"""Give the layers of a network the shapes of a checkpoint with fewer channels."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn


def resize(network: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Shrink convolutions, dense layers and batch normalisations to a pruned checkpoint's sizes.

    So that a pruned network is its architecture and its checkpoint, without the code that pruned
    it. Tensors that fit already are left alone; values are not copied.

    Args:
        network: The network as its configuration describes it.
        state: Tensors by name; a name that the network lacks is ignored, and so is a weight with
            more channels or other taps: no pruning of this network left it.
    """
    for name, module in network.named_modules():
        weight = state.get(f"{name}.weight" if name else "weight")
        own = getattr(module, "weight", None)
        if weight is None or own is None or own.shape == weight.shape:
            continue
        if weight.shape[2:] != own.shape[2:] or any(
            left > had for left, had in zip(weight.shape, own.shape, strict=False)
        ):
            continue
        if isinstance(module, nn.Conv1d | nn.Conv2d):
            if module.groups > 1 and module.groups == module.out_channels:
                module.groups = weight.shape[0]
            module.out_channels = weight.shape[0]
            module.in_channels = weight.shape[1] * module.groups
        elif isinstance(module, nn.Linear):
            module.out_features, module.in_features = weight.shape
        elif isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.num_features = weight.shape[0]
        else:
            continue
        for kind, tensors in (("parameter", module._parameters), ("buffer", module._buffers)):
            for key, tensor in tensors.items():
                found = state.get(f"{name}.{key}")
                if tensor is None or found is None or tensor.shape == found.shape:
                    continue
                empty = torch.empty_like(found)
                tensors[key] = nn.Parameter(empty) if kind == "parameter" else empty
