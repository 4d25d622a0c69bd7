"""Training steps of `ecgexp` against a bare PyTorch loop, epoch by epoch in turn.

Same network, same batches, same optimizer, loss and gradient clipping, one process. The bare loop
gets its batches ready made; ecgexp's time holds its own loader, Lightning and the schedule.
Validation and checkpoints, which a bare loop does not have, are outside of both times.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.nn import functional

from ecgexp.config.build import build
from ecgexp.config.compose import compose
from ecgexp.pipeline import build_data
from ecgexp.training import callbacks
from ecgexp.training.fit import fit
from tests.bench.figure import Figure

EPOCHS = 16
LEAST = 0.9


class BareLoop:
    """What one would write without a framework."""

    def __init__(
        self, network: nn.Module, batches: list[tuple[Tensor, Tensor]], clip: float
    ) -> None:
        self.network = network.train()
        self.batches = batches
        self.clip = clip
        self.optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3, weight_decay=0.01)
        self.weight = torch.ones(int(max(y.max() for _, y in batches)) + 1)

    def epoch(self) -> float:
        """Train once over the batches; return the seconds."""
        start = time.perf_counter()
        for x, y in self.batches:
            self.optimizer.zero_grad()
            logits = self.network(x)
            loss = functional.cross_entropy(logits, y, self.weight, label_smoothing=0.05)
            loss.backward()
            nn.utils.clip_grad_norm_(self.network.parameters(), self.clip)
            self.optimizer.step()
        return time.perf_counter() - start


class Stopwatch(pl.Callback):
    """Run a bare epoch before each of Lightning's and time both."""

    def __init__(self, bare: BareLoop) -> None:
        self.bare = bare
        self.bare_s: list[float] = []
        self.ours_s: list[float] = []
        self.start = 0.0

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.bare_s.append(self.bare.epoch())
        self.start = time.perf_counter()

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        if trainer.is_last_batch:
            self.ours_s.append(time.perf_counter() - self.start)


def compare(architecture: str) -> dict[str, float]:
    """Return the ratio of the two speeds and the milliseconds per step of each."""
    with tempfile.TemporaryDirectory() as home:
        overrides = [f"paths.home={home}", f"architecture={architecture}", "dataset.n_patients=160"]
        config = compose("config", [*overrides, f"trainer.max_epochs={EPOCHS}"]).config
        data = build_data(config)
        data.prepare(progress=False)
        batches = list(data.train_dataloader())
        network = build(config["architecture"], path="architecture", spec=data.spec)
        clip = config["trainer"]["gradient_clip_norm"]
        watch = Stopwatch(BareLoop(deepcopy(network), batches, clip))
        metric, mode = config["monitor"]["metric"], config["monitor"]["mode"]
        keep = callbacks.BestCheckpoint(
            folder=Path(home), metric=metric, mode=mode, compare_from=0.0
        )
        fit(
            data=data,
            network=network,
            objective=build(config["objective"], spec=data.spec, class_counts=data.class_counts),
            optimizer=build(config["optimizer"]),
            trainer=build(
                config["trainer"], callbacks=[watch, keep], logger=False, default_root_dir=home
            ),
            monitor=metric,
            seed=config["seed"],
            resume_from=None,
            run_info={},
        )
    bare, ours = (statistics.median(times[1:]) for times in (watch.bare_s, watch.ours_s))
    step_ms = 1000 / len(batches)
    pairs = zip(watch.bare_s[1:], watch.ours_s[1:], strict=True)
    ratio = statistics.median(b / o for b, o in pairs)
    return {"ratio": ratio, "bare_step_ms": bare * step_ms, "ecgexp_step_ms": ours * step_ms}


def measure() -> list[Figure]:
    figures = []
    for architecture in ("efficientnetv2_1d", "cnn_small"):
        found = compare(architecture)
        note = f"({found['ecgexp_step_ms']:.1f} ms against {found['bare_step_ms']:.1f} ms bare)"
        name = f"training steps, {architecture}"
        figures.append(
            Figure(
                name=name, value=found["ratio"], unit="of a bare loop", at_least=LEAST, note=note
            )
        )
    return figures


if __name__ == "__main__":
    chosen = sys.argv[1] if len(sys.argv) > 1 else "efficientnetv2_1d"
    sys.stdout.write(json.dumps(compare(chosen)) + "\n")
