"""Structured pruning: whole channels go, through residual sums, depthwise layers and gates."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import torch
import torch_pruning as tp
from torch import nn

from ecgexp.architecture.size import NetworkSize, measure_size
from ecgexp.errors import ConfigError
from ecgexp.pruning.importance import accumulate_gradients, importance
from ecgexp.training.checkpoint import load_into
from ecgexp.training.optimizer import OptimizerSpec
from ecgexp.training.room import TrainingRoom

log = logging.getLogger(__name__)

STAGE = "prune"
Weighted = nn.Conv1d | nn.Conv2d | nn.Linear


class ChannelPruning:
    """Remove a share of the channels and train again, at once or in several steps.

    Args:
        importance: `l1`, `l2`, `taylor` or `bn_scale`.
        scope: `uniform` takes the same share of every layer, `global` the least important channels
            of the whole network.
        ratio: Share of the channels to remove, above 0 and below 1.
        max_layer_ratio: Largest share that one layer may lose.
        n_steps: Rounds of removing and training; 1 is one-shot.
        round_to: Channel counts that are left are multiples of this; 4 or 8 suits the kernels.
        n_batches: Training batches for the gradients of `taylor`.
        max_epochs: Epochs of training after each round.
        optimizer: Of that training.

    Raises:
        ConfigError: A value is out of range.
    """

    def __init__(  # noqa: PLR0913 - one option each
        self,
        *,
        importance: str,
        scope: str,
        ratio: float,
        max_layer_ratio: float,
        n_steps: int,
        round_to: int,
        n_batches: int,
        max_epochs: int,
        optimizer: OptimizerSpec,
    ) -> None:
        if not 0 < ratio < 1:
            raise ConfigError(
                f"pruning.ratio={ratio!r}: a share above 0 and below 1; at 1 no layer would have "
                "a channel; to keep all use pruning=none"
            )
        if not ratio <= max_layer_ratio < 1:
            raise ConfigError(
                f"pruning.max_layer_ratio={max_layer_ratio!r}: use a share from pruning.ratio "
                f"({ratio:g}) up to, not including, 1"
            )
        if scope not in ("uniform", "global"):
            raise ConfigError(f"pruning.scope={scope!r}: use uniform or global")
        for name, value in (
            ("n_steps", n_steps), ("round_to", round_to), ("n_batches", n_batches),
            ("max_epochs", max_epochs),
        ):  # fmt: skip
            if value < 1:
                raise ConfigError(f"pruning.{name}={value!r}: use 1 or more")
        self.importance = importance
        self.scope = scope
        self.ratio = ratio
        self.max_layer_ratio = max_layer_ratio
        self.n_steps = n_steps
        self.round_to = round_to
        self.n_batches = n_batches
        self.max_epochs = max_epochs
        self.optimizer = optimizer

    def check(self, network: nn.Module, window_shape: Sequence[int]) -> None:
        """Try on an untrained network, which is changed, what can be known before training.

        Args:
            network: The network that will be pruned.
            window_shape: Shape of a window.

        Raises:
            ConfigError: The ratio leaves a layer without channels, or the network's channels cannot
                be followed.
        """
        name = "l1" if self.importance == "taylor" else self.importance
        remove_channels(
            network,
            torch.zeros(1, *window_shape),
            ratio=self.ratio,
            measure=importance(name, network),
            is_global=self.scope == "global",
            max_layer_ratio=self.max_layer_ratio,
            round_to=self.round_to,
        )

    def prune(self, room: TrainingRoom, out: Path) -> tuple[nn.Module, nn.Module]:
        """Prune and train; steps that an earlier start finished are not done again.

        Args:
            room: Where to train; `room.network()` has the best weights.
            out: The checkpoint to write: of fewer channels, loaded by `load_into` as any other.

        Returns:
            The network before and after.

        Raises:
            ConfigError: The ratio leaves a layer without channels.
        """
        before = room.network()
        network = room.network()
        for step in range(1, self.n_steps + 1):
            kept = room.folder / f"pruned-{step}.ckpt"
            if not kept.is_file():
                self._remove(network, room, step)
                best = room.fit(
                    network,
                    stage=f"{STAGE}{step}" if self.n_steps > 1 else STAGE,
                    optimizer=self.optimizer,
                    max_epochs=self.max_epochs,
                    resized=True,
                )
                _copy(best, kept)
            network = room.network()
            load_into(network, kept)
        _copy(kept, out)
        return before, network

    def _remove(self, network: nn.Module, room: TrainingRoom, step: int) -> None:
        left_before = 1 - self.ratio * (step - 1) / self.n_steps
        left_after = 1 - self.ratio * step / self.n_steps
        if self.importance == "taylor":
            batches = [(x, y) for x, y in islice(room.data.train_dataloader(), self.n_batches)]
            accumulate_gradients(network, batches, room.objective())
        before = measure_size(network, room.data.spec)
        remove_channels(
            network,
            torch.zeros(1, *room.data.spec.window_shape),
            ratio=1 - left_after / left_before,
            measure=importance(self.importance, network),
            is_global=self.scope == "global",
            max_layer_ratio=self.max_layer_ratio,
            round_to=self.round_to,
        )
        after = measure_size(network, room.data.spec)
        log.info("prune: step %d of %d, %s", step, self.n_steps, describe(before, after))


def _copy(source: Path, target: Path) -> None:
    aside = target.with_name(f".{target.name}.part")
    shutil.copyfile(source, aside)
    aside.replace(target)


def describe(before: NetworkSize, after: NetworkSize) -> str:
    """Return one sentence about what was saved."""
    return (
        f"{before.trainable:,} to {after.trainable:,} parameters, "
        f"{before.macs:,} to {after.macs:,} MACs"
    )


def remove_channels(
    network: nn.Module,
    example: torch.Tensor,
    *,
    ratio: float,
    measure: object,
    is_global: bool,
    max_layer_ratio: float,
    round_to: int,
) -> None:
    """Remove channels in place; the outputs keep their number.

    Args:
        network: The network.
        example: One window (1, ...), to trace it.
        ratio: Share of channels to remove.
        measure: From `importance`.
        is_global: Compare channels across layers.
        max_layer_ratio: Largest share that one layer may lose.
        round_to: Channel counts that are left are multiples of this.

    Raises:
        ConfigError: A layer would have no channel left, or the network's channels are coupled in
            a way that torch-pruning does not know.
    """
    network.eval()
    for parameter in network.parameters():
        parameter.requires_grad_(True)
    output = _output_layer(network, example)
    for name, module in network.named_modules():
        if module is output or not isinstance(module, Weighted):
            continue
        channels = module.weight.shape[0]
        if channels > 1 and channels * (1 - ratio) < 1:
            raise ConfigError(
                f"pruning.ratio: {ratio:.3g} leaves layer {name} of {channels} channels without "
                "any; use a smaller ratio or a wider network"
            )
    pruner = tp.pruner.BasePruner(
        network,
        example,
        importance=measure,
        global_pruning=is_global,
        pruning_ratio=ratio,
        max_pruning_ratio=max_layer_ratio,
        ignored_layers=[output],
        round_to=round_to,
    )
    try:
        pruner.step()
        with torch.no_grad():
            network(example)
    except (IndexError, RuntimeError, ValueError) as error:
        raise ConfigError(
            f"pruning: torch-pruning cannot follow the channels of {type(network).__name__} "
            f"({error}), for example through a shortcut that is padded; use pruning=none or "
            "another architecture"
        ) from error
    network.zero_grad()


def _output_layer(network: nn.Module, example: torch.Tensor) -> nn.Module:
    """Return the weighted layer that is computed last: its channels are the classes."""
    ran: list[nn.Module] = []
    hooks = [
        module.register_forward_hook(lambda found, *_: ran.append(found))
        for module in network.modules()
        if isinstance(module, Weighted)
    ]
    try:
        with torch.no_grad():
            network(example)
    finally:
        for hook in hooks:
            hook.remove()
    return ran[-1]
