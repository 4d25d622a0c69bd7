"""Callbacks of a fit, as configuration describes them."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pytorch_lightning.callbacks import EarlyStopping, ModelCheckpoint

Mode = Literal["min", "max"]


def best_checkpoint(*, folder: Path, metric: str, mode: Mode) -> ModelCheckpoint:
    """Keep `best.ckpt`, the epoch with the best value of a validation metric.

    Args:
        folder: Where the file goes.
        metric: Name of the metric, for example `val/f1_macro`.
        mode: Whether the best value is the largest or the smallest.
    """
    return _checkpoint(folder=folder, filename="best", metric=metric, mode=mode)


def last_checkpoint(*, folder: Path) -> ModelCheckpoint:
    """Keep `last.ckpt`, every finished epoch in turn, to resume from.

    It must follow `best_checkpoint`, whose state it contains. (`save_last` of Lightning 2.6 writes
    only in epochs that are the best so far.)

    Args:
        folder: Where the file goes.
    """
    return _checkpoint(folder=folder, filename="last", metric=None, mode="min")


def _checkpoint(*, folder: Path, filename: str, metric: str | None, mode: Mode) -> ModelCheckpoint:
    return ModelCheckpoint(
        dirpath=folder,
        filename=filename,
        monitor=metric,
        mode=mode,
        save_top_k=1,
        auto_insert_metric_name=False,
        enable_version_counter=False,
        save_on_train_epoch_end=True,
    )


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
