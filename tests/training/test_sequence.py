"""A network that answers every step, trained on sequences, judged and exported by windows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader, TensorDataset

from ecgexp.architecture.resnet_hannun import ResNetHannun
from ecgexp.quantization.export import export_onnx
from ecgexp.quantization.reference import run_onnx
from ecgexp.training.losses import SequenceCrossEntropy
from ecgexp.training.module import Classifier
from ecgexp.training.optimizer import OptimizerSpec, constant
from ecgexp.types import SignalSpec

SPEC = SignalSpec(fs_hz=100.0, leads=("I",), n_samples=256, labels=("slow", "fast"))


def waves(n: int, n_samples: int, seed: int) -> TensorDataset:
    """Sines of two frequencies with a random phase."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 2
    rate = np.where(y == 0, 0.05, 0.2)[:, None]
    x = np.sin(rate * np.arange(n_samples) + rng.uniform(0, 6.28, (n, 1)))[:, None]
    return TensorDataset(torch.tensor(x, dtype=torch.float32), torch.from_numpy(y))


def test_sequences_are_learnt_and_windows_answered(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = ResNetHannun(
        spec=SPEC,
        stem={"filters": 4, "kernel": 8, "stride": 2},
        blocks={"filters": [4, 8], "kernel": 8, "stride": [4, 4]},
        bias=False,
        logits="step",
        dropout=0.1,
    )
    module = Classifier(
        network=network,
        objective=SequenceCrossEntropy(
            spec=SPEC,
            class_counts=(40, 40),
            class_weights="none",
            f1_labels=["slow", "fast"],
            label_smoothing=0.0,
            prior_smoothing=1.0,
        ),
        optimizer=OptimizerSpec(
            optimizer=lambda parameters: torch.optim.AdamW(parameters, lr=0.02), scheduler=constant
        ),
        seed=0,
        monitor="val/f1_selected",
        record={},
        units=None,
    )
    trainer = pl.Trainer(
        accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, max_epochs=6, num_sanity_val_steps=0,
    )  # fmt: skip
    val = waves(20, 256, seed=2)
    # Excerpts of half the length train, whole windows validate.
    trainer.fit(module, DataLoader(waves(80, 128, seed=1), 20), DataLoader(val, 20))
    assert module.history[-1]["val/f1_selected"] > 0.9
    assert module.history[-1]["val/f1_prior_corrected"] > 0.9
    onnx = export_onnx(network, SPEC, tmp_path / "network.onnx")
    x = val.tensors[0].numpy()
    logits = run_onnx(onnx, x)
    assert logits.shape == (20, 2)
    with torch.no_grad():
        torch.testing.assert_close(torch.from_numpy(logits), network.eval()(val.tensors[0]))
