from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch

from ecgexp.errors import ConfigError, ExportError
from ecgexp.training.checkpoint import load_checkpoint, load_network_state
from ecgexp.training.evaluate import evaluate

HERE = Path(__file__).parent


class StopAt(pl.Callback):
    """Raise in the middle of an epoch, as a kill or a Ctrl-C does."""

    def __init__(self, epoch: int, error: BaseException) -> None:
        self.epoch = epoch
        self.error = error

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        if trainer.current_epoch == self.epoch:
            raise self.error


class Sigint(pl.Callback):
    """Press Ctrl-C in the second epoch."""

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        if trainer.current_epoch == 1:
            os.kill(os.getpid(), signal.SIGINT)


def assert_same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> None:
    assert a.keys() == b.keys()
    for name in a:
        assert torch.equal(a[name], b[name]), name


def test_learns_the_toy_problem(toy_fit: Any) -> None:
    fitted = toy_fit(max_epochs=10)
    y, logits = evaluate(fitted.network, fitted.data, "test", checkpoint=fitted.best)
    assert (logits.argmax(1) == y).mean() > 0.9


def test_same_seed_same_weights_other_seed_others(toy_fit: Any) -> None:
    first = load_network_state(toy_fit("a", max_epochs=2).last)
    assert_same(first, load_network_state(toy_fit("b", max_epochs=2).last))
    other = load_network_state(toy_fit("c", max_epochs=2, seed=6).last)
    assert not torch.equal(first["0.weight"], other["0.weight"])


def test_interrupted_and_resumed_equals_uninterrupted(toy_fit: Any, tmp_path: Path) -> None:
    whole = toy_fit("whole", max_epochs=3, compare_from=0.5)
    with pytest.raises(RuntimeError, match="power cut"):
        toy_fit("cut", max_epochs=3, compare_from=0.5, extra=[StopAt(1, RuntimeError("power cut"))])
    torch.rand(1000)
    cut = toy_fit("cut", max_epochs=3, compare_from=0.5, resume_from=tmp_path / "cut" / "last.ckpt")
    assert_same(load_network_state(whole.last), load_network_state(cut.last))
    assert_same(load_network_state(whole.best), load_network_state(cut.best))
    assert load_checkpoint(whole.last).history == load_checkpoint(cut.last).history


def test_resume_of_a_finished_fit_changes_nothing(toy_fit: Any) -> None:
    done = toy_fit(max_epochs=2)
    before = load_network_state(done.best)
    again = toy_fit(max_epochs=2, resume_from=done.last)
    assert again.best == done.best
    assert_same(before, load_network_state(again.best))


@pytest.mark.slow
def test_sigkill_and_resume_equals_uninterrupted(toy_fit: Any, tmp_path: Path) -> None:
    folder = tmp_path / "killed"
    victim = subprocess.Popen([sys.executable, HERE / "kill_me.py", folder])
    last = folder / "last.ckpt"
    deadline = time.monotonic() + 60
    while not last.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(victim.pid, signal.SIGKILL)
    assert victim.wait() == -signal.SIGKILL
    assert 0 <= load_checkpoint(last).epoch < 39
    resumed = toy_fit("killed", max_epochs=40, patience_epochs=99, resume_from=last)
    whole = toy_fit("whole", max_epochs=40, patience_epochs=99)
    assert_same(load_network_state(whole.last), load_network_state(resumed.last))
    assert_same(load_network_state(whole.best), load_network_state(resumed.best))


def test_ctrl_c_arrives_as_keyboard_interrupt_and_leaves_a_checkpoint(
    toy_fit: Any, tmp_path: Path
) -> None:
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        toy_fit("stopped", extra=[Sigint()])
    assert signal.getsignal(signal.SIGINT) is handler
    assert load_checkpoint(tmp_path / "stopped" / "last.ckpt").epoch == 0


def test_history_has_one_row_per_epoch_with_train_and_val(toy_fit: Any) -> None:
    rows = load_checkpoint(toy_fit(max_epochs=3).last).history
    assert [row["epoch"] for row in rows] == [0, 1, 2]
    assert {"train/loss", "train/learning_rate", "val/loss", "val/f1_macro", "val/f1_fast"} <= set(
        rows[0]
    )
    assert rows[0]["train/loss"] > rows[-1]["train/loss"]
    assert rows[-1]["train/learning_rate"] == pytest.approx(0.01 * 0.01, rel=0.2)


def test_best_checkpoint_is_of_the_best_epoch(toy_fit: Any) -> None:
    fitted = toy_fit(max_epochs=10)
    scores = [row["val/f1_macro"] for row in load_checkpoint(fitted.last).history]
    assert load_checkpoint(fitted.best).epoch == int(np.argmax(scores))
    assert sorted(path.name for path in fitted.best.parent.iterdir()) == ["best.ckpt", "last.ckpt"]


def test_early_epochs_do_not_compete(toy_fit: Any) -> None:
    fitted = toy_fit(max_epochs=6, lr=0.0, compare_from=0.5)
    assert load_checkpoint(fitted.best).epoch == 3


def test_a_fit_stopped_before_the_comparison_keeps_its_newest_epoch(toy_fit: Any) -> None:
    fitted = toy_fit(max_epochs=20, lr=0.0, patience_epochs=2, compare_from=0.5)
    assert load_checkpoint(fitted.best).epoch == 2


def test_share_of_epochs_out_of_range(toy_fit: Any) -> None:
    with pytest.raises(ConfigError, match=r"best_checkpoint\.compare_from: 6 is a share, use 0"):
        toy_fit(compare_from=6)


def test_logged_validation_metrics_are_those_of_evaluate(toy_fit: Any) -> None:
    fitted = toy_fit(max_epochs=2)
    y, logits = evaluate(fitted.network, fitted.data, "val")
    row = load_checkpoint(fitted.last).history[-1]
    assert row["val/accuracy"] == pytest.approx((logits.argmax(1) == y).mean())


def test_early_stopping(toy_fit: Any) -> None:
    fitted = toy_fit(max_epochs=50, patience_epochs=2, lr=0.0)
    assert len(load_checkpoint(fitted.last).history) == 3


def test_unknown_monitor_names_the_known_ones(toy_fit: Any) -> None:
    with pytest.raises(ConfigError, match=r"monitor\.metric: 'val/f1' is not logged.*val/f1_macro"):
        toy_fit(monitor="val/f1")


def test_a_class_missing_from_validation_cannot_be_monitored(toy_fit: Any) -> None:
    with pytest.raises(
        ConfigError, match=r"'val/f1_fast' has no value after epoch 0.*monitor val/f1"
    ):
        toy_fit(monitor="val/f1_fast", missing_in_validation=2)


def test_divergence_is_an_error_with_a_remedy(toy_fit: Any) -> None:
    with pytest.raises(ConfigError, match=r"optimizer\.lr: the training loss became .* epoch 0"):
        toy_fit(lr=1e38)


def test_resume_from_a_damaged_file(toy_fit: Any, tmp_path: Path) -> None:
    broken = tmp_path / "last.ckpt"
    broken.write_bytes(b"PK\x03\x04 not really")
    with pytest.raises(ExportError, match=r"last\.ckpt: .*damaged"):
        toy_fit(resume_from=broken)
