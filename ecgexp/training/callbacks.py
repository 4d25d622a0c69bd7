"""Callbacks of a fit, as configuration describes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import pytorch_lightning as pl
from pytorch_lightning.callbacks import EarlyStopping, ModelCheckpoint, WeightAveraging
from torch import Tensor
from torch.optim.swa_utils import get_ema_multi_avg_fn

from ecgexp.errors import ConfigError

Mode = Literal["min", "max"]
_PLAIN: dict[str, Any] = {
    "auto_insert_metric_name": False,
    "enable_version_counter": False,
    "save_on_train_epoch_end": True,
}


class BestCheckpoint(ModelCheckpoint):
    """Keep `best.ckpt`, the epoch with the best value of a validation metric.

    A small validation split now and then loves an epoch from before the learning rate has come
    down; such luck does not last. So the comparison begins late, and until then the newest epoch
    is kept.

    Args:
        folder: Where the file goes.
        metric: Name of the metric, for example `val/f1_macro`.
        mode: Whether the best value is the largest or the smallest.
        compare_from: Share of the trainer's epochs after which epochs are compared, 0..1.

    Raises:
        ConfigError: The share is out of range.
    """

    def __init__(self, *, folder: Path, metric: str, mode: Mode, compare_from: float) -> None:
        if not 0 <= compare_from <= 1:
            raise ConfigError(
                f"callbacks.best_checkpoint.compare_from: {compare_from!r} is a share, use 0..1"
            )
        super().__init__(
            dirpath=folder, filename="best", monitor=metric, mode=mode, save_top_k=1, **_PLAIN
        )
        self._compare_from = compare_from

    def check_monitor_top_k(self, trainer: pl.Trainer, current: Tensor | None = None) -> bool:
        """Say whether this epoch replaces the kept one; Lightning's hook."""
        first = int(self._compare_from * (trainer.max_epochs or 0))
        if current is not None and trainer.current_epoch <= first:
            return True
        return bool(super().check_monitor_top_k(trainer, current))


class LastCheckpoint(ModelCheckpoint):
    """Keep `last.ckpt`, every finished epoch in turn, to resume from.

    It must follow `BestCheckpoint`, whose state it contains. (`save_last` of Lightning 2.6 writes
    only in epochs that are the best so far.)

    Args:
        folder: Where the file goes.
    """

    def __init__(self, *, folder: Path) -> None:
        super().__init__(dirpath=folder, filename="last", save_top_k=1, **_PLAIN)


class WeightEma(WeightAveraging):
    """Validate and keep an exponential moving average of the weights and statistics.

    Args:
        decay: Share of the average that every step keeps, 0..1.

    Raises:
        ConfigError: The share is out of range.
    """

    def __init__(self, *, decay: float) -> None:
        if not 0 <= decay < 1:
            raise ConfigError(
                f"callbacks.weight_average.decay: {decay!r} is a share, use 0..1, 1 excluded"
            )
        super().__init__(multi_avg_fn=get_ema_multi_avg_fn(decay))  # type: ignore[no-untyped-call]


def early_stopping(
    *, metric: str, mode: Mode, patience_epochs: int, min_delta: float
) -> EarlyStopping:
    """Stop when a validation metric has not improved for some epochs.

    Args:
        metric: Name of the metric.
        mode: Whether larger or smaller is better.
        patience_epochs: Epochs without improvement before the stop.
        min_delta: Smallest change that counts as an improvement.
    """
    return EarlyStopping(
        monitor=metric,
        mode=mode,
        patience=patience_epochs,
        min_delta=min_delta,
        check_on_train_epoch_end=True,
    )
