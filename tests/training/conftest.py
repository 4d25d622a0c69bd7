from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from torch import nn
from torch.utils.data import DataLoader, Sampler, TensorDataset

from ecgexp.training import callbacks
from ecgexp.training.fit import fit
from ecgexp.training.losses import CrossEntropy
from ecgexp.training.optimizer import OptimizerSpec, warmup_cosine
from ecgexp.training.trainer import build_trainer
from ecgexp.types import SignalSpec

SPEC = SignalSpec(fs_hz=50.0, leads=("II",), n_samples=64, labels=("slow", "middle", "fast"))


@dataclass(frozen=True)
class ToyWindows:
    x: np.ndarray
    y: np.ndarray


def toy_windows(n: int, seed: int) -> ToyWindows:
    """Noisy sines whose frequency is the class; classes in the ratio 4:2:1."""
    draw = np.random.default_rng(seed)
    y = draw.choice(3, size=n, p=[4 / 7, 2 / 7, 1 / 7])
    t = np.arange(SPEC.n_samples) / SPEC.fs_hz
    phase = draw.uniform(0, 2 * np.pi, n)
    wave = np.sin(2 * np.pi * np.array([2.0, 3.5, 5.0])[y, None] * t + phase[:, None])
    x = wave + draw.normal(0, 0.5, wave.shape)
    return ToyWindows(x[:, None].astype(np.float32), y.astype(np.int64))


class ToyBatches(Sampler[list[int]]):
    """Rows of batches, shuffled by (seed, epoch) alone, as the real data module promises."""

    def __init__(self, n: int, shuffle_seed: int | None) -> None:
        self.n = n
        self.shuffle_seed = shuffle_seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return -(-self.n // 32)

    def __iter__(self) -> Iterator[list[int]]:
        rows = np.arange(self.n)
        if self.shuffle_seed is not None:
            rows = np.random.default_rng([self.shuffle_seed, self.epoch]).permutation(rows)
        for start in range(0, self.n, 32):
            yield rows[start : start + 32].tolist()


def toy_loader(windows: ToyWindows, shuffle_seed: int | None) -> DataLoader[Any]:
    pairs = TensorDataset(torch.from_numpy(windows.x), torch.from_numpy(windows.y))
    return DataLoader(pairs, sampler=ToyBatches(len(windows.y), shuffle_seed), batch_size=None)


class ToyData(pl.LightningDataModule):
    def __init__(self) -> None:
        super().__init__()
        self.spec = SPEC
        self.parts = {
            "train": toy_windows(320, 1),
            "val": toy_windows(96, 2),
            "test": toy_windows(96, 3),
        }

    @property
    def class_counts(self) -> tuple[int, ...]:
        return tuple(np.bincount(self.parts["train"].y, minlength=3).tolist())

    def leave_out(self, split: str, label: int) -> None:
        windows = self.parts[split]
        keep = windows.y != label
        self.parts[split] = ToyWindows(windows.x[keep], windows.y[keep])

    def units(self, name: str) -> None:
        """Every window is judged by itself."""

    def split(self, name: str) -> ToyWindows:
        return self.parts[name]

    def train_dataloader(self) -> DataLoader[Any]:
        return toy_loader(self.parts["train"], shuffle_seed=7)

    def val_dataloader(self) -> DataLoader[Any]:
        return toy_loader(self.parts["val"], shuffle_seed=None)


def toy_network(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv1d(1, 8, 9, stride=2), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.2),
        nn.Conv1d(8, 8, 5), nn.ReLU(), nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(8, 3),
    )  # fmt: skip


class Fitted:
    """What a test wants to know of a finished fit."""

    def __init__(self, best: Path, network: nn.Module, data: ToyData) -> None:
        self.best = best
        self.last = best.with_name("last.ckpt")
        self.network = network
        self.data = data


def run_toy_fit(folder: Path, **change: Any) -> Fitted:
    """Fit the toy network; `change` replaces single settings."""
    setting: dict[str, Any] = {
        "max_epochs": 3,
        "seed": 5,
        "lr": 0.01,
        "patience_epochs": 10,
        "compare_from": 0.0,
        "monitor": "val/f1_macro",
        "resume_from": None,
        "run_info": {"config": {"seed": 5}},
        "logger": False,
        "extra": [],
        "missing_in_validation": None,
    } | change
    monitor = {"metric": setting["monitor"], "mode": "max"}
    data, network = ToyData(), toy_network(setting["seed"])
    if setting["missing_in_validation"] is not None:
        data.leave_out("val", setting["missing_in_validation"])
    keep = [
        callbacks.BestCheckpoint(folder=folder, **monitor, compare_from=setting["compare_from"]),
        callbacks.LastCheckpoint(folder=folder),
    ]
    stop = callbacks.early_stopping(
        **monitor, patience_epochs=setting["patience_epochs"], min_delta=0.0
    )
    trainer = build_trainer(
        callbacks=[stop, *setting["extra"], *keep], logger=setting["logger"],
        default_root_dir=str(folder),
        accelerator="cpu", precision="32-true", n_threads=1, deterministic=True,
        max_epochs=setting["max_epochs"], gradient_clip_norm=5.0, limit_train_batches=1.0,
        limit_val_batches=1.0, progress="never",
    )  # fmt: skip
    best = fit(
        data=data, network=network, trainer=trainer, monitor=setting["monitor"],
        objective=CrossEntropy(
            spec=SPEC, class_counts=data.class_counts, class_weights=0.5, f1_labels=None,
            label_smoothing=0.05,
        ),
        optimizer=OptimizerSpec(
            optimizer=partial(torch.optim.AdamW, lr=setting["lr"], weight_decay=0.01),
            scheduler=partial(warmup_cosine, warmup_fraction=0.2, final_fraction=0.01),
        ),
        seed=setting["seed"], resume_from=setting["resume_from"], run_info=setting["run_info"],
    )  # fmt: skip
    return Fitted(best, network, data)


@pytest.fixture(scope="session")
def spec() -> SignalSpec:
    return SPEC


@pytest.fixture
def toy_fit(tmp_path: Path) -> Callable[..., Fitted]:
    """Call with a folder name under the test's own folder and settings to change."""

    def call(name: str = "fit", **change: Any) -> Fitted:
        return run_toy_fit(tmp_path / name, **change)

    return call


@pytest.fixture(autouse=True)
def restore_process_state() -> Iterator[None]:
    """Training sets threads, determinism and signal handlers of the whole process."""
    handler, threads = signal.getsignal(signal.SIGINT), torch.get_num_threads()
    yield
    signal.signal(signal.SIGINT, handler)
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(False)
