"""Train one network on one data set, from the start or from where a kill left it."""

from __future__ import annotations

import logging
import re
import signal
import time
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pytorch_lightning as pl
import torch
from lightning_fabric.utilities.exceptions import MisconfigurationException
from numpy.typing import NDArray
from torch import nn
from torch.multiprocessing.spawn import ProcessRaisedException

from ecgexp import errors
from ecgexp.dataset.windows import Split
from ecgexp.errors import ConfigError
from ecgexp.training import metric_names as names
from ecgexp.training.callbacks import BestCheckpoint
from ecgexp.training.checkpoint import load_checkpoint
from ecgexp.training.losses import Objective
from ecgexp.training.module import Classifier
from ecgexp.training.optimizer import OptimizerSpec
from ecgexp.training.quiet import quiet_lightning
from ecgexp.types import SignalSpec

log = logging.getLogger(__name__)


class TrainingData(Protocol):
    """What a fit needs to know of a data module beside its loaders."""

    @property
    def spec(self) -> SignalSpec:
        """Shape and classes of the windows."""

    def units(self, name: Split) -> NDArray[np.int64] | None:
        """Return which answer each window of a split belongs to; None when each is its own."""


def fit(  # noqa: PLR0913
    *,
    data: TrainingData,
    network: nn.Module,
    objective: Objective,
    optimizer: OptimizerSpec,
    trainer: pl.Trainer,
    monitor: str,
    seed: int,
    resume_from: Path | None,
    run_info: dict[str, Any],
) -> Path:
    """Train a network and return its best checkpoint; `last.ckpt` beside it is for resuming.

    Args:
        data: A LightningDataModule with `spec` and `units`.
        network: Maps windows (batch, lead, sample) float32 to logits (batch, class).
        objective: Loss and measures.
        optimizer: Makes the optimizer and its schedule.
        trainer: From `build_trainer`, with the checkpoint callbacks of this package.
        monitor: The validation metric that the callbacks watch.
        seed: Seed of the random numbers drawn while training.
        resume_from: `last.ckpt` of an interrupted fit of the same configuration, or None.
        run_info: Plain values for the checkpoint; `config` is the resolved configuration.

    Raises:
        ConfigError: The monitored metric does not exist, the loss diverges, or the checkpoint to
            resume from is of other data.
        ExportError: The checkpoint to resume from cannot be read.
        KeyboardInterrupt: The user stopped the fit; `last.ckpt` holds the last whole epoch.
    """
    check_monitor(monitor, data.spec)
    if resume_from is not None:
        _check_resumable(resume_from, data.spec)
    module = Classifier(
        network=network,
        objective=objective,
        optimizer=optimizer,
        seed=seed,
        monitor=monitor,
        record={"config": {}, **run_info, "spec": data.spec.to_dict()},
        units=data.units("val"),
    )
    started = time.monotonic()
    log.info("fit: up to %s epochs, watching %s", trainer.max_epochs, monitor)
    _run(trainer, module, data, resume_from)
    keeper = _keeper(trainer)
    kept = Path(keeper.best_model_path)
    if not module.history:  # other processes trained: their last checkpoint tells
        module.history = load_checkpoint(kept.with_name("last.ckpt")).history
    seconds = time.monotonic() - started
    best = load_checkpoint(kept).history[-1][monitor]
    log.info("fit: %d epochs, %.1f s, best %s %.4f", len(module.history), seconds, monitor, best)
    return kept


def _own_error(error: ProcessRaisedException) -> Exception:
    """Return the error that one of several processes raised, if it is one of ecgexp's."""
    found = re.search(r"^ecgexp\.errors\.(\w+): (.*)\Z", str(error).strip(), re.M | re.S)
    kind = getattr(errors, found[1], None) if found else None
    return kind(found[2]) if found and kind else error


def check_monitor(monitor: str, spec: SignalSpec) -> None:
    """Check that a fit will log the metric that decides which epoch is best.

    Raises:
        ConfigError: There is no such metric.
    """
    known = names.validation_names(spec.labels)
    if monitor not in known:
        raise ConfigError(
            f"monitor.metric: {monitor!r} is not logged; use one of {', '.join(known)}"
        )


def _check_resumable(path: Path, spec: SignalSpec) -> None:
    found = load_checkpoint(path).spec
    if found != spec:
        raise ConfigError(
            f"resume: {path} was trained on {found}, the data are now {spec}; "
            "resume with the configuration the run was started with"
        )


def _keeper(trainer: pl.Trainer) -> BestCheckpoint:
    for callback in trainer.checkpoint_callbacks:
        if isinstance(callback, BestCheckpoint) and callback.best_model_path:
            return callback
    raise ConfigError(
        "callbacks: nothing kept a best checkpoint; "
        "add `best_checkpoint` as in conf/callbacks/default.yaml"
    )


def _run(
    trainer: pl.Trainer, module: Classifier, data: TrainingData, resume_from: Path | None
) -> None:
    """Call Lightning so that Ctrl-C leaves as KeyboardInterrupt.

    Lightning ignores further SIGINTs and turns the first into SystemExit(1), which would hide from
    the caller that the user stopped the run.
    """
    handler = signal.getsignal(signal.SIGINT)
    try:
        # Without this, denormal gradients make small networks several times slower on x86.
        torch.set_flush_denormal(True)
        with quiet_lightning():
            trainer.fit(module, datamodule=data, ckpt_path=resume_from)  # type: ignore[arg-type]
    except SystemExit as error:
        if isinstance(error.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from error
        raise
    except MisconfigurationException as error:
        raise ConfigError(f"trainer: {error}") from error
    except ProcessRaisedException as error:
        raise _own_error(error) from error
    finally:
        # The processor's flag is the thread's: golden outputs must not be computed under it.
        torch.set_flush_denormal(False)
        if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
            signal.signal(signal.SIGINT, handler)
