"""What a stage that trains again is given, and what the pipeline asks of such a stage."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pytorch_lightning as pl
    from torch import nn

    from ecgexp.training.losses import Objective
    from ecgexp.training.optimizer import OptimizerSpec


class TrainingRoom(Protocol):
    """The data, settings and logger of a run around one more fit."""

    @property
    def folder(self) -> Path:
        """Working folder of the run."""

    @property
    def seed(self) -> int:
        """Seed of the run."""

    @property
    def data(self) -> Any:
        """The prepared data module."""

    @property
    def run(self) -> Any:
        """The run to log metrics, tags and artefacts into."""

    def objective(self) -> Objective:
        """Return a new objective."""

    def network(self) -> nn.Module:
        """Return the network with the best float weights so far."""

    def fit(
        self,
        network: nn.Module,
        *,
        stage: str,
        optimizer: OptimizerSpec,
        max_epochs: int,
        callbacks: Sequence[pl.Callback] = (),
        resized: bool = False,
        to_the_end: bool = False,
    ) -> Path:
        """Train a network, or go on with an interrupted fit; return its best checkpoint."""


@runtime_checkable
class RetrainingQuantizer(Protocol):
    """A quantization that trains: it is given the room instead of the float graph alone."""

    def retrain(
        self,
        room: TrainingRoom,
        float_onnx: Path,
        calibration: NDArray[np.float32],
        out: Path,
    ) -> Path:
        """Train, and write the network to deploy.

        Args:
            room: Where to train; `room.network()` has the best float weights.
            float_onnx: The same network, exported.
            calibration: Training windows (window, lead, sample).
            out: Where the ONNX file goes.
        """


@runtime_checkable
class LayerQuantizer(Protocol):
    """A quantization whose options name layers, so that they can be checked before training."""

    def check(self, network: nn.Module) -> None:
        """Raise ConfigError where the options do not fit a network that is not trained yet."""


@runtime_checkable
class Pruner(Protocol):
    """A method that removes channels and trains again."""

    def check(self, network: nn.Module, window_shape: Sequence[int]) -> None:
        """Raise ConfigError where an untrained network, which is changed, cannot be pruned so."""

    def prune(self, room: TrainingRoom, out: Path) -> tuple[nn.Module, nn.Module]:
        """Write the checkpoint of a smaller network; return the network before and after.

        Args:
            room: Where to train; `room.network()` has the best float weights.
            out: The checkpoint to write.
        """
