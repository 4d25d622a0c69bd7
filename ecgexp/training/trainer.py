"""Build the Lightning Trainer and set what else decides speed and reproducibility."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Literal

import pytorch_lightning as pl
import torch
from lightning_fabric.utilities.exceptions import MisconfigurationException
from pytorch_lightning.callbacks import Callback, RichProgressBar
from pytorch_lightning.loggers import Logger

from ecgexp.errors import ConfigError
from ecgexp.training.checkpoint import AtomicCheckpointIO
from ecgexp.training.quiet import quiet_lightning

_PROGRESS = ("auto", "always", "never")


def build_trainer(  # noqa: PLR0913
    *,
    callbacks: list[Callback],
    logger: Logger | bool,
    default_root_dir: str,
    accelerator: str,
    precision: Literal["32-true", "bf16-mixed", "16-mixed"],
    n_threads: int,
    deterministic: bool,
    max_epochs: int,
    gradient_clip_norm: float | None,
    limit_train_batches: int | float,
    limit_val_batches: int | float,
    progress: Literal["auto", "always", "never"],
) -> pl.Trainer:
    """Return a trainer for one fit on one device.

    Args:
        callbacks: Callbacks of the fit; the progress bar is added here.
        logger: Where metrics go; False for nowhere.
        default_root_dir: Folder for what has no folder of its own.
        accelerator: `cpu`, `gpu` or another of Lightning's.
        precision: Lightning's name of the number format.
        n_threads: Threads of torch; one is fastest for networks of some ten thousand parameters.
        deterministic: Whether torch must choose reproducible algorithms.
        max_epochs: Epochs of a fit that is not stopped early; the schedule spans them.
        gradient_clip_norm: Largest norm of the gradient, or None to leave it alone.
        limit_train_batches: Batches (int) or share (float) of the training split per epoch.
        limit_val_batches: The same for the validation split.
        progress: Whether to draw a bar; `auto` draws it on a terminal only.

    Raises:
        ConfigError: A value cannot be used on this machine.
    """
    return _trainer(
        callbacks=callbacks,
        logger=logger,
        default_root_dir=default_root_dir,
        accelerator=accelerator,
        strategy="auto",
        devices=1,
        precision=precision,
        n_threads=n_threads,
        deterministic=deterministic,
        max_epochs=max_epochs,
        gradient_clip_norm=gradient_clip_norm,
        limit_train_batches=limit_train_batches,
        limit_val_batches=limit_val_batches,
        progress=progress,
    )


def build_ddp_trainer(  # noqa: PLR0913
    *,
    callbacks: list[Callback],
    logger: Logger | bool,
    default_root_dir: str,
    n_processes: int,
    precision: Literal["32-true", "bf16-mixed", "16-mixed"],
    n_threads: int,
    deterministic: bool,
    max_epochs: int,
    gradient_clip_norm: float | None,
    limit_train_batches: int | float,
    limit_val_batches: int | float,
    progress: Literal["auto", "always", "never"],
) -> pl.Trainer:
    """Return a trainer for one fit on several processes of this machine.

    The processes are forks of this one and live as long as the fit. Each trains on its share of
    every batch, so that a step is that of one process, batch statistics apart.

    Args:
        callbacks: See `build_trainer`.
        logger: See `build_trainer`.
        default_root_dir: See `build_trainer`.
        n_processes: Processes, at least 2.
        precision: See `build_trainer`.
        n_threads: Threads of torch in each process.
        deterministic: See `build_trainer`.
        max_epochs: See `build_trainer`.
        gradient_clip_norm: See `build_trainer`.
        limit_train_batches: See `build_trainer`.
        limit_val_batches: See `build_trainer`.
        progress: See `build_trainer`.

    Raises:
        ConfigError: A value cannot be used on this machine.
    """
    if n_processes < 2:
        raise ConfigError(
            f"trainer.n_processes: {n_processes!r} must be at least 2; trainer=cpu trains in one"
        )
    if not hasattr(os, "fork"):
        raise ConfigError("trainer=ddp needs an operating system that can fork; use trainer=cpu")
    return _trainer(
        callbacks=callbacks,
        logger=logger,
        default_root_dir=default_root_dir,
        accelerator="cpu",
        strategy="ddp_fork",
        devices=n_processes,
        precision=precision,
        n_threads=n_threads,
        deterministic=deterministic,
        max_epochs=max_epochs,
        gradient_clip_norm=gradient_clip_norm,
        limit_train_batches=limit_train_batches,
        limit_val_batches=limit_val_batches,
        progress=progress,
    )


def _trainer(  # noqa: PLR0913
    *,
    callbacks: list[Callback],
    logger: Logger | bool,
    default_root_dir: str,
    accelerator: str,
    strategy: str,
    devices: int,
    precision: Literal["32-true", "bf16-mixed", "16-mixed"],
    n_threads: int,
    deterministic: bool,
    max_epochs: int,
    gradient_clip_norm: float | None,
    limit_train_batches: int | float,
    limit_val_batches: int | float,
    progress: Literal["auto", "always", "never"],
) -> pl.Trainer:
    if n_threads < 1:
        raise ConfigError(f"trainer.n_threads: {n_threads!r} must be at least 1")
    if max_epochs < 1:
        raise ConfigError(f"trainer.max_epochs: {max_epochs!r} must be at least 1")
    if progress not in _PROGRESS:
        known = ", ".join(_PROGRESS)
        raise ConfigError(f"trainer.progress: {progress!r} is not known; use {known}")
    torch.set_num_threads(n_threads)
    bar = progress == "always" or (progress == "auto" and sys.stderr.isatty())
    try:
        with quiet_lightning():
            return pl.Trainer(
                callbacks=[*callbacks, *([RichProgressBar()] if bar else [])],
                logger=logger,
                default_root_dir=str(Path(default_root_dir)),
                accelerator=accelerator,
                strategy=strategy,
                devices=devices,
                # The module takes its share of every batch itself.
                use_distributed_sampler=False,
                precision=precision,
                deterministic=deterministic,
                max_epochs=max_epochs,
                gradient_clip_val=gradient_clip_norm,
                limit_train_batches=limit_train_batches,
                limit_val_batches=limit_val_batches,
                num_sanity_val_steps=0,
                enable_progress_bar=bar,
                enable_model_summary=False,
                plugins=[AtomicCheckpointIO()],
            )
    except (ValueError, RuntimeError, MisconfigurationException) as error:
        raise ConfigError(f"trainer: {error}") from error
