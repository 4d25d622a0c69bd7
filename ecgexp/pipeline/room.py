"""Where a stage trains a network: the run's folder, logger and settings around one fit."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ecgexp.config.build import build, locate
from ecgexp.pipeline.parts import build_network, build_objective

if TYPE_CHECKING:
    import pytorch_lightning as pl
    from torch import nn

    from ecgexp.dataset.datamodule import EcgDataModule
    from ecgexp.tracking.run import Run
    from ecgexp.training.losses import Objective
    from ecgexp.training.optimizer import OptimizerSpec

BEST = "best.ckpt"
PRUNED = "pruned.ckpt"


@dataclass(frozen=True, kw_only=True)
class Room:
    """What a stage that trains may use; satisfies `ecgexp.training.room.TrainingRoom`.

    Attributes:
        config: The run's configuration.
        data: Windows, prepared.
        run: The run to log into.
    """

    config: dict[str, Any]
    data: EcgDataModule
    run: Run

    @property
    def folder(self) -> Path:
        """Working folder of the run."""
        return self.run.folder

    @property
    def seed(self) -> int:
        """Seed of the run."""
        return int(self.config["seed"])

    @property
    def best(self) -> Path:
        """Checkpoint of the best float network so far: the pruned one where there is one."""
        pruned = self.folder / PRUNED
        return pruned if pruned.is_file() else self.folder / BEST

    def objective(self) -> Objective:
        """Return a new objective."""
        return build_objective(self.config, self.data)

    def network(self) -> nn.Module:
        """Return the network with the best float weights so far.

        Raises:
            ExportError: The checkpoint cannot be read.
        """
        from ecgexp.training.checkpoint import load_into

        network = build_network(self.config, self.data.spec)
        load_into(network, self.best)
        return network

    def fit(
        self,
        network: nn.Module,
        *,
        stage: str,
        optimizer: OptimizerSpec,
        max_epochs: int,
        callbacks: Sequence[pl.Callback] = (),
        resized: bool = False,
        to_the_end: bool = False,
    ) -> Path:
        """Train a network in a stage after the first fit and return its best checkpoint.

        A fit that was interrupted goes on from its last whole epoch. Metrics are logged as
        `<stage>/train/loss`, `<stage>/val/...`.

        Args:
            network: Maps windows (batch, lead, sample) to logits (batch, class).
            stage: A word for the checkpoints' folder and the metrics.
            optimizer: Makes the optimizer and its schedule.
            max_epochs: Epochs of this fit.
            callbacks: Added to those of the configuration.
            resized: Whether layers have other shapes than the architecture's; the checkpoint
                says so.
            to_the_end: Whether every epoch counts and the last one stays: nothing is averaged,
                stopped early or chosen, whatever the configuration says.
        """
        return self.train(
            network,
            optimizer=optimizer,
            trainer={**self.config["trainer"], "max_epochs": max_epochs},
            checkpoints=self.folder / f"checkpoints-{stage}",
            prefix=f"{stage}/",
            callbacks=callbacks,
            resized=resized,
            to_the_end=to_the_end,
        )[0]

    def train(
        self,
        network: nn.Module,
        *,
        optimizer: OptimizerSpec,
        trainer: dict[str, Any],
        checkpoints: Path,
        prefix: str = "",
        callbacks: Sequence[pl.Callback] = (),
        resized: bool = False,
        to_the_end: bool = False,
    ) -> tuple[Path, list[dict[str, float]]]:
        """Fit in a folder of checkpoints; return the best one and the history of the fit."""
        from ecgexp.training.fit import fit

        last, logger = checkpoints / "last.ckpt", self.run.lightning_logger(prefix)
        logger.collect()  # of a fit that was killed
        built: pl.Trainer = build(
            trainer,
            path="trainer",
            callbacks=[*callbacks, *self._callbacks(checkpoints, to_the_end=to_the_end)],
            logger=logger,
            default_root_dir=str(self.folder),
        )
        best = fit(
            data=self.data,
            network=network,
            objective=self.objective(),
            optimizer=optimizer,
            trainer=built,
            monitor=self.config["monitor"]["metric"],
            seed=self.seed,
            resume_from=last if last.is_file() else None,
            run_info={"config": self.config, "resized": resized},
        )
        logger.collect()
        history: list[dict[str, float]] = built.lightning_module.history  # type: ignore[assignment]
        return best, history

    def _callbacks(self, checkpoints: Path, *, to_the_end: bool) -> list[pl.Callback]:
        from pytorch_lightning.callbacks import EarlyStopping

        from ecgexp.training.callbacks import WeightEma

        nodes = {name: dict(node) for name, node in self.config["callbacks"].items()}
        for node in nodes.values():
            if to_the_end and "compare_from" in node:
                node["compare_from"] = 1.0
        built = [
            build(node, path=f"callbacks.{name}", **_folder_if_taken(node, name, checkpoints))
            for name, node in nodes.items()
        ]
        choosing = (WeightEma, EarlyStopping) if to_the_end else ()
        return [each for each in built if not isinstance(each, choosing)]


def _folder_if_taken(node: dict[str, Any], name: str, folder: Path) -> dict[str, Path]:
    takes = inspect.signature(locate(node, f"callbacks.{name}")).parameters
    return {"folder": folder} if "folder" in takes else {}
