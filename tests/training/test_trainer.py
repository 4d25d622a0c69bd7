from __future__ import annotations

import csv
import logging
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from pytorch_lightning.callbacks import RichProgressBar
from pytorch_lightning.loggers import CSVLogger

from ecgexp.errors import ConfigError
from ecgexp.training.quiet import quiet_lightning
from ecgexp.training.trainer import build_trainer

SETTINGS: dict[str, Any] = {
    "callbacks": [], "logger": False, "default_root_dir": "unused", "accelerator": "cpu",
    "precision": "32-true", "n_threads": 1, "deterministic": True, "max_epochs": 1,
    "gradient_clip_norm": None, "limit_train_batches": 1.0, "limit_val_batches": 1.0,
    "progress": "never",
}  # fmt: skip


def test_threads_are_set() -> None:
    build_trainer(**{**SETTINGS, "n_threads": 2})
    assert torch.get_num_threads() == 2


@pytest.mark.parametrize("key", ["n_threads", "max_epochs"])
@pytest.mark.parametrize("value", [0, -1])
def test_counts_must_be_positive(key: str, value: int) -> None:
    with pytest.raises(ConfigError, match=rf"trainer\.{key}: {value} must be at least 1"):
        build_trainer(**{**SETTINGS, key: value})


def test_unknown_accelerator_is_a_configuration_error() -> None:
    with pytest.raises(ConfigError, match=r"trainer: .*abacus"):
        build_trainer(**{**SETTINGS, "accelerator": "abacus"})


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
def test_a_gpu_that_is_not_there_is_a_configuration_error() -> None:
    with pytest.raises(ConfigError, match="trainer: "):
        build_trainer(**{**SETTINGS, "accelerator": "gpu"})


@pytest.mark.parametrize(("progress", "bars"), [("always", 1), ("never", 0), ("auto", 0)])
def test_progress_bar_only_where_someone_looks(progress: str, bars: int) -> None:
    trainer = build_trainer(**{**SETTINGS, "progress": progress})
    found = [c for c in trainer.callbacks if isinstance(c, RichProgressBar)]  # type: ignore[attr-defined]
    assert len(found) == bars


def test_unknown_progress_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"trainer\.progress: 'yes' .* use auto, always, never"):
        build_trainer(**{**SETTINGS, "progress": "yes"})


def test_a_logger_gets_train_and_validation_figures(toy_fit: Any, tmp_path: Path) -> None:
    toy_fit(max_epochs=2, logger=CSVLogger(tmp_path, name="csv", version="0"))
    with (tmp_path / "csv" / "0" / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    epochs = [row["epoch"] for row in rows if row["val/f1_macro"]]
    assert epochs == ["0", "1"]
    assert len([row for row in rows if row["train/loss"]]) == 2


@pytest.mark.slow
def test_a_fit_says_nothing_on_its_own() -> None:
    script = Path(__file__).parent / "fit_once.py"
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    assert done.stdout == ""
    assert done.stderr == ""


def test_quiet_ends_with_its_block() -> None:
    level = logging.getLogger("pytorch_lightning").level
    before = list(warnings.filters)
    with quiet_lightning():
        assert not logging.getLogger("pytorch_lightning").isEnabledFor(logging.WARNING)
        with pytest.warns(UserWarning, match="of somebody else"):
            warnings.warn("of somebody else", UserWarning, stacklevel=1)
    assert logging.getLogger("pytorch_lightning").level == level
    assert warnings.filters == before
