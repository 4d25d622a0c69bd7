"""Count what a network costs, without running it on a device."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ecgexp.types import SignalSpec


@dataclass(frozen=True, kw_only=True, slots=True)
class NetworkSize:
    """Sizes of a network for one kind of window.

    Attributes:
        trainable: Parameters that the optimiser moves.
        statistics: Running means and variances; Keras counts them as parameters too.
        macs: Multiply-accumulates of all convolutions and dense layers for one window.
    """

    trainable: int
    statistics: int
    macs: int


def measure_size(network: nn.Module, spec: SignalSpec) -> NetworkSize:
    """Count parameters, statistics and multiply-accumulates of one window.

    Args:
        network: A network for windows (batch, *window_shape); its mode is restored.
        spec: Shape of a window.
    """
    macs = 0

    def count(module: nn.Module, _: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal macs
        weight = module.get_parameter("weight")
        macs += output.numel() * weight[0].numel()

    counted = [m for m in network.modules() if isinstance(m, nn.Conv1d | nn.Conv2d | nn.Linear)]
    hooks = [module.register_forward_hook(count) for module in counted]
    training = network.training
    try:
        with torch.no_grad():
            network.eval()(torch.zeros(1, *spec.window_shape))
    finally:
        network.train(training)
        for hook in hooks:
            hook.remove()
    statistics = sum(b.numel() for b in network.buffers() if b.is_floating_point())
    trainable = sum(p.numel() for p in network.parameters() if p.requires_grad)
    return NetworkSize(trainable=trainable, statistics=statistics, macs=macs)
