"""The fit stage: train from the start or from where a kill left it, keep the best epoch."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ecgexp.config.build import build
from ecgexp.pipeline.effects import draw_effects
from ecgexp.pipeline.parts import build_network
from ecgexp.pipeline.reuse import fit_turn
from ecgexp.pipeline.room import BEST, Room

if TYPE_CHECKING:
    import pytorch_lightning as pl


def fit_network(room: Room, callbacks: Sequence[pl.Callback] = ()) -> None:
    """Leave `best.ckpt` in the run's folder and log the learning curves.

    Args:
        room: The run's folder, data and settings.
        callbacks: Added to those of the configuration.
    """
    with fit_turn(room) as taken_over:
        if not taken_over:
            _train(room, callbacks)


def _train(room: Room, callbacks: Sequence[pl.Callback]) -> None:
    from ecgexp.report import pictures

    config = room.config
    sheet = draw_effects(room.data, room.folder / "augmentation.png", seed=config["seed"])
    if sheet is not None:
        room.run.log_artefact(sheet)
    best, history = room.train(
        build_network(config, room.data.spec),
        optimizer=build(config["optimizer"], path="optimizer"),
        trainer=config["trainer"],
        checkpoints=room.folder / "checkpoints",
        callbacks=callbacks,
    )
    shutil.copyfile(best, room.folder / BEST)
    picture = pictures.learning_curves(history, room.folder / "learning_curves.png")
    room.run.log_artefact(picture)
