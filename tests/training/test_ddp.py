"""Two processes train what one trains, and the pipeline does not notice."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from ecgexp.__main__ import main
from ecgexp.errors import ConfigError
from ecgexp.tracking.store import Store
from ecgexp.training import callbacks
from ecgexp.training.checkpoint import load_checkpoint
from ecgexp.training.fit import fit
from ecgexp.training.losses import CrossEntropy
from ecgexp.training.optimizer import OptimizerSpec, warmup_cosine
from ecgexp.training.trainer import build_ddp_trainer, build_trainer
from tests.integration.conftest import SMALL
from tests.training.conftest import SPEC, ToyData

COMMON: dict[str, Any] = {
    "logger": False, "precision": "32-true", "n_threads": 1, "deterministic": True,
    "max_epochs": 2, "gradient_clip_norm": 5.0, "limit_train_batches": 1.0,
    "limit_val_batches": 1.0, "progress": "never",
}  # fmt: skip
ONE = partial(build_trainer, accelerator="cpu")
TWO = partial(build_ddp_trainer, n_processes=2)


def train(folder: Path, maker: Any, lr: float = 0.05) -> Path:
    """Fit a network without batch statistics or dropout, every class weighing the same."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv1d(1, 4, 9, stride=4), nn.ReLU(), nn.Flatten(), nn.Linear(56, 3))
    keep = [
        callbacks.BestCheckpoint(folder=folder, metric="val/loss", mode="min", compare_from=0.0),
        callbacks.LastCheckpoint(folder=folder),
    ]
    return fit(
        data=ToyData(), network=network, monitor="val/loss", seed=5, resume_from=None,
        trainer=maker(callbacks=keep, default_root_dir=str(folder), **COMMON),
        objective=CrossEntropy(
            spec=SPEC, class_counts=(1, 1, 1), class_weights=0.0, f1_labels=None,
            label_smoothing=0.0,
        ),
        optimizer=OptimizerSpec(
            optimizer=partial(torch.optim.SGD, lr=lr),
            scheduler=partial(warmup_cosine, warmup_fraction=0.2, final_fraction=0.01),
        ),
        run_info={"config": {}},
    )  # fmt: skip


@pytest.mark.slow
def test_two_processes_take_the_steps_of_one(tmp_path: Path) -> None:
    one, two = (load_checkpoint(train(tmp_path / name, maker)) for name, maker in
                (("one", ONE), ("two", TWO)))  # fmt: skip
    for name, tensor in one.network_state.items():
        torch.testing.assert_close(two.network_state[name], tensor, atol=1e-5, rtol=1e-4)
    assert len(two.history) == 2
    for before, after in zip(one.history, two.history, strict=True):
        assert after == pytest.approx(before, abs=1e-4)


@pytest.mark.slow
def test_an_error_in_one_of_the_processes_is_the_fits_own(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"optimizer\.lr: the training loss became nan .* lower"):
        train(tmp_path, TWO, lr=1e30)


@pytest.mark.slow
def test_the_pipeline_runs_on_two_processes(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [*SMALL, "trainer=ddp", "deploy=none", f"paths.home={home}", "--quiet"]
    assert main(["run", *words]) == 0
    done = json.loads(capsys.readouterr().out)
    assert done["status"] == "FINISHED"
    client = Store(experiment="ecgexp", home=home).open()
    rows = load_checkpoint(home / "runs" / done["run_id"] / "best.ckpt").history
    for name in ("train/loss", "val/f1_macro"):
        logged = client.get_metric_history(done["run_id"], name)
        assert len(logged) == 2
        assert [m.value for m in logged][: len(rows)] == pytest.approx([row[name] for row in rows])


def test_one_process_is_not_several(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"trainer\.n_processes: 1 must be at least 2; trainer=c"):
        build_ddp_trainer(
            n_processes=1, callbacks=[], default_root_dir=str(tmp_path), **COMMON
        )  # fmt: skip
