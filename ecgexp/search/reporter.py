"""Tell Optuna the validation figure after every epoch, and stop where it says so."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytorch_lightning as pl

from ecgexp.errors import StoppedEarly

if TYPE_CHECKING:
    from optuna import Trial


class EpochReporter(pl.Callback):
    """Reports one metric per epoch.

    Args:
        trial: The trial that trains.
        metric: Its single objective, for example `val/f1_macro`.
    """

    def __init__(self, *, trial: Trial, metric: str) -> None:
        super().__init__()
        self._trial, self._metric = trial, metric

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Report the epoch; Lightning's hook.

        Raises:
            StoppedEarly: The pruner sees no future for the trial.
        """
        value = trainer.callback_metrics.get(self._metric)
        if value is None or not math.isfinite(float(value)):
            return
        epoch = trainer.current_epoch
        if epoch not in self._trial.storage.get_trial(self._trial._trial_id).intermediate_values:
            self._trial.report(float(value), epoch)
        if self._trial.should_prune():
            raise StoppedEarly(f"pruned after epoch {epoch}: {self._metric} {float(value):.4f}")
