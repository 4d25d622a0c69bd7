"""Validation figures of recordings whose windows give one answer."""

from __future__ import annotations

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader, TensorDataset

from ecgexp.training.losses import CrossEntropy
from ecgexp.training.module import Classifier
from ecgexp.training.optimizer import OptimizerSpec, constant
from ecgexp.types import SignalSpec


class Pass(torch.nn.Module):
    """Answer with the first samples of the window."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x[:, 0, :3]


@pytest.mark.parametrize("n_shown", [9, 6])
def test_validation_judges_recordings(spec: SignalSpec, n_shown: int) -> None:
    generator = torch.Generator().manual_seed(3)
    units = np.array([0, 0, 0, 1, 2, 2, 3, 3, 3])
    y_of_unit = np.array([2, 0, 1, 1])
    x = torch.randn(9, 1, 4, generator=generator)
    y = torch.from_numpy(y_of_unit[units])
    objective = CrossEntropy(
        spec=spec, class_counts=(5, 5, 5), class_weights=0.5, f1_labels=None, label_smoothing=0.0
    )
    module = Classifier(
        network=Pass(),
        objective=objective,
        optimizer=OptimizerSpec(optimizer=torch.optim.SGD, scheduler=constant),
        seed=0,
        monitor="val/accuracy",
        record={},
        units=units,
    )
    shown = TensorDataset(x[:n_shown], y[:n_shown])
    trainer = pl.Trainer(
        accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False,
    )  # fmt: skip
    figures = trainer.validate(module, DataLoader(shown, batch_size=4), verbose=False)[0]
    n_units = len(set(units[:n_shown]))
    answers = np.stack(
        [x[:n_shown, 0, :3].numpy()[units[:n_shown] == unit].mean(0) for unit in range(n_units)]
    )
    expected = objective.metrics(y_of_unit[:n_units], answers)
    for name, value in expected.items():
        assert figures[f"val/{name}"] == pytest.approx(value, abs=1e-6), name
    loss = objective(torch.from_numpy(answers), torch.from_numpy(y_of_unit[:n_units]))
    assert figures["val/loss"] == pytest.approx(float(loss), abs=1e-6)
