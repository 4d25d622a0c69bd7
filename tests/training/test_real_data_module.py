"""Fit on the real data module: what its loaders do must survive an interruption too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch

from ecgexp.config.build import build
from ecgexp.config.compose import compose
from ecgexp.pipeline import build_data
from ecgexp.training.checkpoint import load_checkpoint
from ecgexp.training.fit import fit


class PowerCut(pl.Callback):
    def __init__(self, epoch: int | None) -> None:
        self.epoch = epoch

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        if trainer.current_epoch == self.epoch:
            raise RuntimeError("power cut")


def run(home: Path, name: str, n_workers: int, cut_in: int | None, resume: bool = False) -> Path:
    """Fit as the pipeline does, with every default but the sizes; return last.ckpt."""
    overrides = ["architecture=cnn_small", "dataset.n_patients=40", "dataset.batch_size=32"]
    sizes = ["trainer.max_epochs=3", f"dataset.n_workers={n_workers}", f"paths.home={home}"]
    config = compose("config", [*overrides, *sizes]).config
    data = build_data(config)
    data.prepare(progress=False)
    folder = home / name
    callbacks: list[pl.Callback] = [PowerCut(cut_in)]
    for key, node in config["callbacks"].items():
        runtime = {"folder": folder} if key.endswith("checkpoint") else {}
        callbacks.append(build(node, path=key, **runtime))
    pl.seed_everything(config["seed"], verbose=False)
    last = folder / "last.ckpt"
    fit(
        data=data,
        network=build(config["architecture"], spec=data.spec),
        objective=build(config["objective"], spec=data.spec, class_counts=data.class_counts),
        optimizer=build(config["optimizer"]),
        trainer=build(
            config["trainer"], callbacks=callbacks, logger=False, default_root_dir=str(home)
        ),
        monitor=config["monitor"]["metric"],
        seed=config["seed"],
        resume_from=last if resume else None,
        run_info={"config": config},
    )
    return last


@pytest.mark.parametrize(
    "n_workers", [0, pytest.param(2, marks=pytest.mark.slow)], ids=["in process", "two workers"]
)
def test_interrupted_and_resumed_equals_uninterrupted(tmp_path: Path, n_workers: int) -> None:
    whole = load_checkpoint(run(tmp_path, "whole", n_workers, cut_in=None))
    with pytest.raises(RuntimeError, match="power cut"):
        run(tmp_path, "cut", n_workers, cut_in=1)
    cut = load_checkpoint(run(tmp_path, "cut", n_workers, cut_in=None, resume=True))
    assert whole.history == cut.history
    for name, tensor in whole.network_state.items():
        assert torch.equal(tensor, cut.network_state[name]), name
