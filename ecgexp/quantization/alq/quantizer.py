"""Adaptive loss-aware multi-bit quantization as a stage of the pipeline."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pytorch_lightning as pl
from numpy.typing import NDArray
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from ecgexp.errors import ConfigError
from ecgexp.quantization.alq.coordinates import round_coordinates
from ecgexp.quantization.alq.groups import LayerRule, attach, groups_of, plan, settle
from ecgexp.quantization.alq.onnx_weights import weight_scales
from ecgexp.quantization.alq.optimizer import AlqOptimizer
from ecgexp.quantization.alq.schedule import Phase, Removal, Schedule, Stage, average_bits
from ecgexp.quantization.alq.size import COORDINATES, Coordinates, measure
from ecgexp.quantization.export import export_onnx
from ecgexp.quantization.ptq import StaticInt8
from ecgexp.training.checkpoint import load_into
from ecgexp.training.optimizer import OptimizerSpec
from ecgexp.training.room import TrainingRoom
from ecgexp.types import Scheme

log = logging.getLogger(__name__)

STAGE = "alq"
WEIGHTS = "model_alq_float.onnx"


class AdaptiveMultiBit:
    """Weights as sums of signed bit planes, their number chosen group by group by the loss.

    After Qu et al., "Adaptive Loss-aware Quantization for Multi-bit Networks" (CVPR 2020).

    Args:
        bits: Bases per weight to end with, on average over the network.
        top_k: See `Removal`.
        layers: How layers are cut; the first rule that matches a layer's name counts.
        rounds: How often `every_round` is done.
        every_round: Stages of a round; one of them prunes.
        finish: Stages after the last round.
        coordinates: How coordinates are stored: `float32` and `float16` leave a float network,
            `int8` an int8 one.
        activations: Quantizes activations where coordinates are `int8`.

    Raises:
        ConfigError: A value cannot be used.
    """

    scheme: Scheme = "alq"

    def __init__(
        self,
        *,
        bits: float,
        top_k: float,
        layers: Sequence[LayerRule],
        rounds: int,
        every_round: Sequence[Stage],
        finish: Sequence[Stage],
        coordinates: Coordinates,
        activations: StaticInt8,
    ) -> None:
        if not 0 < bits <= 8:
            raise ConfigError(f"quantization.bits={bits:g}: use more than 0, up to 8 per weight")
        if not 0 < top_k <= 1:
            raise ConfigError(f"quantization.top_k={top_k:g}: use a share above 0, up to 1")
        if coordinates not in COORDINATES:
            raise ConfigError(
                f"quantization.coordinates={coordinates!r}: choose one of {', '.join(COORDINATES)}"
            )
        if rounds < 1:
            raise ConfigError(f"quantization.rounds={rounds}: write at least 1")
        if activations.equalizes:
            raise ConfigError(
                "quantization.activations.equalize=true: equalisation would tear apart the weights "
                "that share coordinates; write false"
            )
        self._rules = layers
        self._stages = [stage for _ in range(rounds) for stage in every_round] + list(finish)
        self._removal = Removal(bits=bits, top_k=top_k)
        self._coordinates: Coordinates = coordinates
        self._activations = activations
        self.n_calibration = activations.n_calibration
        self.max_drop = activations.max_drop

    @property
    def untrained(self) -> StaticInt8:
        """What quantizes without training: int8 without codes."""
        return self._activations

    def check(self, network: nn.Module) -> None:
        """Check that every layer of a network can be cut as the rules say.

        Args:
            network: The network that will be quantized; left as it is.

        Raises:
            ConfigError: A layer matches no rule, or cannot be cut as its rule says.
        """
        plan(network, self._rules)

    def retrain(
        self,
        room: TrainingRoom,
        float_onnx: Path,
        calibration: NDArray[np.float32],
        out: Path,
    ) -> Path:
        """Train codes from the float weights, and write the network to deploy.

        Args:
            room: Where to train.
            float_onnx: The float network; not read.
            calibration: Training windows (window, lead, sample).
            out: Where the ONNX file goes.

        Raises:
            ConfigError: A layer cannot be cut as its rule says, or the budget cannot be met.
        """
        network = room.network()
        layers = attach(network, self._rules)
        best = room.fit(
            network,
            stage=STAGE,
            optimizer=OptimizerSpec(
                optimizer=partial(AlqOptimizer, layers=layers.values()), scheduler=self._follow
            ),
            max_epochs=sum(stage.epochs for stage in self._stages),
            callbacks=[PruneInEvaluation(self._stages)],
            to_the_end=True,
        )
        load_into(network, best)
        groups = groups_of(network)
        for name, layer in layers.items():
            round_coordinates(groups[name], self._coordinates)
            settle(layer)
        self._report(room, network)
        weights = export_onnx(network, room.data.spec, room.folder / WEIGHTS)
        if self._coordinates == "int8":
            scales = weight_scales(weights, list(groups.values()))
            return self._activations.quantize(weights, calibration, out, scales)
        weights.replace(out)
        return out

    def _follow(self, optimizer: Optimizer, *, total_steps: int) -> LambdaLR:
        if not isinstance(optimizer, AlqOptimizer):
            raise TypeError(f"{type(optimizer).__name__} steps no codes")
        schedule = Schedule(
            self._stages,
            self._removal,
            steps_per_epoch=total_steps // sum(stage.epochs for stage in self._stages),
            first_bits=average_bits(optimizer.groups),
        )
        optimizer.follow(schedule)
        return LambdaLR(optimizer, schedule.rate)

    def _report(self, room: TrainingRoom, network: nn.Module) -> None:
        from ecgexp.report.bits import bits_per_layer

        groups = groups_of(network)
        size = measure(list(groups.values()), self._coordinates)
        bits = {name: average_bits([layer]) for name, layer in groups.items()}
        weights = {name: layer.layout.n_weights for name, layer in groups.items()}
        of_layers = {f"quantization/alq_bits/{name}": value for name, value in bits.items()}
        room.run.log_metrics({**size.metrics(), **of_layers})
        picture = room.folder / "bits_per_layer.png"
        room.run.log_artefact(bits_per_layer(bits, weights, size.bits_per_weight, picture))
        log.info(
            "alq: %.3f bits per weight, %d bytes in all of %d (1/%.1f)",
            size.bits_per_weight,
            size.total_bytes,
            size.float_bytes,
            size.float_bytes / size.total_bytes,
        )


class PruneInEvaluation(pl.Callback):
    """Run the network as in evaluation while bases are taken away: the loss must be the same.

    Args:
        stages: What the epochs do.
    """

    def __init__(self, stages: Sequence[Stage]) -> None:
        self._phases: list[Phase] = [s.phase for s in stages for _ in range(s.epochs)]

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Choose the mode; Lightning's hook."""
        network = pl_module.get_submodule("network")
        network.train(self._phases[trainer.current_epoch] != "prune")
