"""Optimizers with their learning-rate schedules, as configuration describes them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler

from ecgexp.errors import ConfigError

MakeOptimizer = Callable[[Iterable[nn.Parameter]], Optimizer]
MakeScheduler = Callable[..., LRScheduler]


class OptimizerSpec:
    """An optimizer and a schedule that wait for a network and a number of steps.

    Args:
        optimizer: Called with the parameters, for example a partial of `torch.optim.AdamW`.
        scheduler: Called with the optimizer and `total_steps`; one of this module's functions.
    """

    def __init__(self, *, optimizer: MakeOptimizer, scheduler: MakeScheduler) -> None:
        self._make_optimizer = optimizer
        self._make_scheduler = scheduler

    def build(
        self, parameters: Iterable[nn.Parameter], total_steps: int
    ) -> tuple[Optimizer, LRScheduler]:
        """Return the optimizer of the parameters and its schedule, stepped once per batch.

        Args:
            parameters: What to train.
            total_steps: Optimizer steps of the whole fit.

        Raises:
            ConfigError: The optimizer refuses its settings.
        """
        try:
            optimizer = self._make_optimizer(parameters)
        except (TypeError, ValueError) as error:
            raise ConfigError(f"optimizer.optimizer: {error}") from error
        return optimizer, self._make_scheduler(optimizer, total_steps=total_steps)


def constant(optimizer: Optimizer, *, total_steps: int) -> LRScheduler:
    """Keep the optimizer's learning rate for all `total_steps`."""
    return LambdaLR(optimizer, lambda step: 1.0)


def warmup_cosine(
    optimizer: Optimizer, *, total_steps: int, warmup_fraction: float, final_fraction: float
) -> LRScheduler:
    """Raise the learning rate along a cosine to its peak, then let it fall along another.

    Args:
        optimizer: Its learning rate is the peak.
        total_steps: Optimizer steps of the whole fit.
        warmup_fraction: Share of the steps spent rising, in 0..1 (1 excluded).
        final_fraction: Learning rate of the last step as a share of the peak, in 0..1.

    Raises:
        ConfigError: A share is out of range.
    """
    if not 0 <= warmup_fraction < 1:
        raise ConfigError(
            f"optimizer.scheduler.warmup_fraction: {warmup_fraction!r} must be in 0..1, 1 excluded"
        )
    if not 0 <= final_fraction <= 1:
        raise ConfigError(f"optimizer.scheduler.final_fraction: {final_fraction!r} must be in 0..1")
    warmup = round(total_steps * warmup_fraction)

    def share(step: int) -> float:
        if step < warmup:
            return 0.5 - 0.5 * math.cos(math.pi * (step + 1) / (warmup + 1))
        progress = min(1.0, (step - warmup) / max(1, total_steps - 1 - warmup))
        return final_fraction + (1 - final_fraction) * (0.5 + 0.5 * math.cos(math.pi * progress))

    return LambdaLR(optimizer, share)
