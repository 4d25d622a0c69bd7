"""Run a network over a split, the same way every time."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ecgexp.training.checkpoint import load_into

Split = Literal["train", "val", "test"]
# Part of the result: another batch size may change the last bit of a sum.
BATCH = 256


class Windows(Protocol):
    """Windows x (window, lead, sample) float32 and classes y (window,) or (window, class) int64."""

    @property
    def x(self) -> NDArray[np.float32]:
        """Signals."""

    @property
    def y(self) -> NDArray[np.int64]:
        """Classes."""


class SplitData(Protocol):
    """A data module, as far as evaluation needs it."""

    def split(self, name: Split) -> Windows:
        """Return one split."""


def evaluate(
    network: nn.Module, data: SplitData, split: Split, *, checkpoint: Path | None = None
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return the true classes (window,) and the logits (window, class) of a split.

    Args:
        network: Maps windows (batch, lead, sample) to logits (batch, class).
        data: Source of the windows.
        split: Which of its splits.
        checkpoint: Take the network's tensors from here first; None leaves it as it is.

    Raises:
        ExportError: The checkpoint cannot be read or is of another network.
    """
    if checkpoint is not None:
        load_into(network, checkpoint)
    windows = data.split(split)
    return np.asarray(windows.y, dtype=np.int64), predict_logits(network, windows.x)


@torch.inference_mode()
def predict_logits(network: nn.Module, x: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the logits (window, class) float32 of windows x (window, lead, sample) float32."""
    was_training = network.training
    network.eval()
    device = next((p.device for p in network.parameters()), torch.device("cpu"))
    parts = [
        network(torch.from_numpy(np.array(x[start : start + BATCH])).to(device))
        .float()
        .cpu()
        .numpy()
        for start in range(0, len(x), BATCH)
    ]
    network.train(was_training)
    return np.concatenate(parts)
