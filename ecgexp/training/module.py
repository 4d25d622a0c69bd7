"""The LightningModule that fits a classifier and keeps its per-epoch history."""

from __future__ import annotations

import math
import platform
from importlib.metadata import version
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray
from pytorch_lightning.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor, nn

from ecgexp.dataset.units import first_by_unit, mean_by_unit
from ecgexp.errors import ConfigError
from ecgexp.training import metric_names as names
from ecgexp.training.checkpoint import KEY, SCHEMA
from ecgexp.training.losses import Objective
from ecgexp.training.optimizer import OptimizerSpec

Batch = tuple[Tensor, Tensor]
_VERSIONED = ("ecgexp", "torch", "pytorch-lightning", "numpy")


class Classifier(pl.LightningModule):
    """A network, its objective and its optimizer, as Lightning wants them.

    Nothing is logged per step: losses and logits are collected and measured once per epoch, so a
    step costs what the bare computation costs.

    Args:
        network: Maps windows (batch, lead, sample) float32 to logits (batch, class).
        objective: Loss and measures.
        optimizer: Makes the optimizer and its schedule.
        seed: With the epoch, decides the random numbers of that epoch (dropout and the like), so
            that a resumed fit draws the same ones.
        monitor: The validation metric that must exist after every epoch.
        record: Plain values that every checkpoint carries: `spec`, `config`.
        units: Which answer each validation window belongs to (window,); None when each is its own.

    Attributes:
        history: One row of metrics per finished epoch.
    """

    def __init__(
        self,
        *,
        network: nn.Module,
        objective: Objective,
        optimizer: OptimizerSpec,
        seed: int,
        monitor: str,
        record: dict[str, Any],
        units: NDArray[np.int64] | None,
    ) -> None:
        super().__init__()
        self.network = network
        self.objective = objective
        self.history: list[dict[str, float]] = []
        self._optimizer_spec = optimizer
        self._seed = seed
        self._monitor = monitor
        self._record = record
        self._units = units
        self._losses: list[Tensor] = []
        self._logits: list[Tensor] = []
        self._truth: list[Tensor] = []

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """Return optimizer and schedule for the steps that the trainer expects."""
        total_steps = int(self.trainer.estimated_stepping_batches)
        optimizer, scheduler = self._optimizer_spec.build(self.network.parameters(), total_steps)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": scheduler, "interval": "step"},
        }

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Return the loss of one batch."""
        if batch_idx == 0:
            self._seed_epoch()
        x, y = self._own_share(batch)
        loss: Tensor = self.objective(self.network(x), y)
        self._losses.append(loss.detach())
        return loss

    def _seed_epoch(self) -> None:
        # Not in on_train_epoch_start: loaders draw from the same generator after that hook, and a
        # resumed fit makes its first loader at another moment than an uninterrupted one.
        rank = [self.global_rank] if self.global_rank else []
        words = np.random.SeedSequence([self._seed, self.current_epoch, *rank]).generate_state(1)
        torch.manual_seed(int(words[0]))

    def _own_share(self, batch: Batch) -> Batch:
        """Return what this process trains on: every n-th window of the batch of n processes."""
        x, y = batch
        n_processes = self.trainer.world_size
        if len(y) < 2 * n_processes and n_processes > 1:
            raise ConfigError(
                f"trainer.n_processes: {n_processes} processes cannot share a batch of {len(y)} "
                "windows; raise dataset.batch_size or use fewer processes"
            )
        return x[self.global_rank :: n_processes], y[self.global_rank :: n_processes]

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Collect the logits of one batch."""
        x, y = batch
        self._logits.append(self.network(x))
        self._truth.append(y)

    def on_validation_epoch_end(self) -> None:
        """Measure the whole validation split at once."""
        logits, y = torch.cat(self._logits), torch.cat(self._truth)
        self._logits.clear()
        self._truth.clear()
        if self._units is not None:
            logits, y = _judge(logits, y, self._units[: len(y)])
        loss = float(self.objective(logits, y))
        measured = self.objective.metrics(y.cpu().numpy(), logits.float().cpu().numpy())
        bar = {names.LOSS, names.F1_MACRO}
        figures = {names.LOSS: loss, **measured}
        for shown in (True, False):
            chosen = {name: value for name, value in figures.items() if (name in bar) == shown}
            self.log_dict(names.of_split(names.VAL, chosen), prog_bar=shown)

    def on_train_epoch_end(self) -> None:
        """Add the finished epoch to the history.

        Raises:
            ConfigError: The loss is no longer a number, or the monitored metric has no value.
        """
        own_loss = torch.stack(self._losses).mean()
        loss = float(self.trainer.strategy.reduce(own_loss, reduce_op="mean"))
        self._losses.clear()
        if not math.isfinite(loss):
            raise ConfigError(
                f"optimizer.optimizer.lr: the training loss became {loss} in epoch "
                f"{self.current_epoch}; lower the learning rate or set trainer.gradient_clip_norm"
            )
        rate = float(self.trainer.optimizers[0].param_groups[0]["lr"])
        own = {names.TRAIN_LOSS: loss, names.TRAIN_LEARNING_RATE: rate}
        self.log_dict(own)
        validation = {
            name: float(value)
            for name, value in self.trainer.callback_metrics.items()
            if name.startswith(f"{names.VAL}/")
        }
        if self._monitor not in validation:
            raise ConfigError(
                f"monitor.metric: {self._monitor!r} has no value after epoch {self.current_epoch}: "
                "the validation split has no window of that class, or "
                "trainer.limit_val_batches leaves none; monitor val/f1_macro or val/loss"
            )
        self.history.append({"epoch": self.current_epoch, **own, **validation})

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what ecgexp needs to use the checkpoint without the run's folder."""
        checkpoint[KEY] = {
            "schema": SCHEMA,
            "versions": library_versions(),
            "history": [dict(row) for row in self.history],
            **self._record,
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Continue the history of the interrupted fit."""
        self.history = [dict(row) for row in checkpoint[KEY]["history"]]


def _judge(logits: Tensor, y: Tensor, units: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
    """Average the logits (window, class) of each unit; return them and its class."""
    mean = mean_by_unit(logits.float().cpu().numpy(), units)
    return torch.from_numpy(mean).to(logits.device), y[first_by_unit(units, len(units))]


def library_versions() -> dict[str, str]:
    """Return the versions that decide what a fit computes."""
    return {"python": platform.python_version(), **{name: version(name) for name in _VERSIONED}}
