"""`quantization=qat_int8` and `mixed`: train the QDQ graph, write it back with what was learned."""

from __future__ import annotations

import fnmatch
import logging
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from ecgexp.errors import ConfigError
from ecgexp.quantization.graph import save_atomically
from ecgexp.quantization.ptq import StaticInt8
from ecgexp.quantization.qat.network import LayerBits, QuantizedNetwork
from ecgexp.quantization.reference import run_onnx
from ecgexp.quantization.sensitivity import Sensitivity, assign, measure, write_table
from ecgexp.training.checkpoint import load_into
from ecgexp.training.optimizer import OptimizerSpec
from ecgexp.training.room import TrainingRoom
from ecgexp.types import Scheme

log = logging.getLogger(__name__)

STAGE = "qat"
WEIGHTS = "model_qat_float.onnx"
WIDEST = 8


class QuantizationAware:
    """Train weights, biases and ranges with the rounding of the device in the loop.

    The network that is trained is the QDQ graph of `start` itself, so what is learned is what the
    device runs; nothing is calibrated afterwards.

    Args:
        start: Chooses the graph and the first ranges.
        layers: Bits of the weights, the first match counts; 8 where none does.
        max_epochs: Epochs of training.
        optimizer: Of that training.

    Raises:
        ConfigError: A value is out of range.
    """

    scheme: Scheme = "qat_int8"

    def __init__(
        self,
        *,
        start: StaticInt8,
        layers: Sequence[LayerBits],
        max_epochs: int,
        optimizer: OptimizerSpec,
    ) -> None:
        if max_epochs < 1:
            raise ConfigError(f"quantization.max_epochs={max_epochs!r}: use 1 or more")
        self._start = start
        self._layers = tuple(layers)
        self._max_epochs = max_epochs
        self._optimizer = optimizer
        self.n_calibration = start.n_calibration
        self.max_drop = start.max_drop

    @property
    def untrained(self) -> StaticInt8:
        """What quantizes without training: where this begins."""
        return self._start

    def retrain(
        self,
        room: TrainingRoom,
        float_onnx: Path,
        calibration: NDArray[np.float32],
        out: Path,
    ) -> Path:
        """Train from the float network's weights, and write the network to deploy.

        Args:
            room: Where to train.
            float_onnx: The float network.
            calibration: Training windows (window, lead, sample), for the first ranges.
            out: Where the ONNX file goes.

        Raises:
            ConfigError: A rule matches no layer.
            ExportError: An operator cannot be trained.
        """
        with tempfile.TemporaryDirectory(prefix="ecgexp-qat-") as scratch:
            prepared = self._start.prepare(float_onnx, calibration, Path(scratch) / "float.onnx")
            first = self._start.quantize(float_onnx, calibration, Path(scratch) / "first.onnx")
            source, quantized = onnx.load(prepared), onnx.load(first)
        layers = self._choose(room, quantized, source)
        network = QuantizedNetwork(quantized, source, layers)
        self._check_rules(network, layers)
        best = room.fit(
            network, stage=STAGE, optimizer=self._optimizer, max_epochs=self._max_epochs
        )
        load_into(network, best)
        weights = room.folder / WEIGHTS
        save_atomically(network.trained_source(source), weights)
        self._start.quantize(weights, calibration, out, network.overrides())
        self._report(room, network, out)
        return out

    def _choose(
        self, room: TrainingRoom, quantized: onnx.ModelProto, source: onnx.ModelProto
    ) -> tuple[LayerBits, ...]:
        """Return the bits of every layer, first match first."""
        return self._layers

    def _check_rules(self, network: QuantizedNetwork, layers: Sequence[LayerBits]) -> None:
        for rule in layers:
            if not any(fnmatch.fnmatch(name, rule.match) for name in network.weights):
                raise ConfigError(
                    f"quantization.layers: {rule.match!r} matches no weight; there are "
                    f"{', '.join(network.weights)}"
                )

    def _report(self, room: TrainingRoom, network: QuantizedNetwork, out: Path) -> None:
        """Log bits and bytes, and how far torch and ONNX Runtime are apart on the result."""
        from ecgexp.report.bits import bits_per_layer
        from ecgexp.training.evaluate import predict_logits

        windows = room.data.split("val").x
        difference = np.abs(predict_logits(network, windows) - run_onnx(out, windows))
        step = output_step(onnx.load(out))
        n_bits = sum(weight.bits * weight.n_values for weight in network.weights.values())
        n_values = sum(weight.n_values for weight in network.weights.values())
        room.run.log_metrics(
            {
                "quantization/bits_per_weight": n_bits / n_values,
                "quantization/weight_bytes": n_bits / 8,
                "quantization/torch_onnx_max_lsb": float(difference.max(initial=0.0)) / step,
                "quantization/torch_onnx_equal": float((difference < step / 2).mean()),
                **{f"quantization/bits/{w.name}": w.bits for w in network.weights.values()},
            }
        )
        if any(weight.bits < WIDEST for weight in network.weights.values()):
            bits = {name: float(weight.bits) for name, weight in network.weights.items()}
            weights = {name: weight.n_values for name, weight in network.weights.items()}
            picture = room.folder / "bits_per_layer.png"
            room.run.log_artefact(bits_per_layer(bits, weights, n_bits / n_values, picture))


class MixedPrecision(QuantizationAware):
    """Weights of 2 to 8 bits, layer by layer: given, or the least harmful that fit a budget.

    Args:
        start: Chooses the graph and the first ranges.
        layers: Bits of the weights, the first match counts; the others share the budget.
        widths: Bits to choose from.
        budget_bytes: Largest sum of weights x bits / 8; None takes 8 bits where no rule matches.
        n_windows: Validation windows on which every layer is rounded alone.
        max_epochs: Epochs of training.
        optimizer: Of that training.

    Raises:
        ConfigError: A value is out of range.
    """

    scheme: Scheme = "mixed"

    def __init__(
        self,
        *,
        start: StaticInt8,
        layers: Sequence[LayerBits],
        widths: Sequence[int],
        budget_bytes: int | None,
        n_windows: int,
        max_epochs: int,
        optimizer: OptimizerSpec,
    ) -> None:
        super().__init__(start=start, layers=layers, max_epochs=max_epochs, optimizer=optimizer)
        for bits in widths:
            if isinstance(bits, bool) or not isinstance(bits, int) or not 2 <= bits <= 8:
                raise ConfigError(f"quantization.widths={list(widths)}: use whole numbers 2 to 8")
        if not widths:
            raise ConfigError("quantization.widths=[]: write the widths to choose from")
        if budget_bytes is not None and budget_bytes < 1:
            raise ConfigError(f"quantization.budget_bytes={budget_bytes}: use 1 or more, or null")
        self._widths = sorted(set(widths), reverse=True)
        self._budget_bytes = budget_bytes
        self._n_windows = n_windows

    def _choose(
        self, room: TrainingRoom, quantized: onnx.ModelProto, source: onnx.ModelProto
    ) -> tuple[LayerBits, ...]:
        if self._budget_bytes is None:
            return self._layers
        rows = log_sensitivity(room, quantized, source, self._widths, self._n_windows)
        free_rows = [
            row
            for row in rows
            if not any(fnmatch.fnmatch(row.layer, rule.match) for rule in self._layers)
        ]
        chosen = QuantizedNetwork(quantized, source, self._layers).weights.values()
        free = {row.layer for row in free_rows}
        if not free:
            raise ConfigError(
                f"quantization.budget_bytes={self._budget_bytes}: quantization.layers gives every "
                "layer its bits, nothing is left to choose; write quantization.layers=[] or rules "
                "that leave layers out"
            )
        spent = sum(w.bits * w.n_values for w in chosen if w.name not in free) / 8
        return (*self._layers, *assign(free_rows, self._budget_bytes, spent_bytes=spent))


def log_sensitivity(
    room: TrainingRoom,
    quantized: onnx.ModelProto,
    source: onnx.ModelProto,
    widths: Sequence[int],
    n_windows: int,
) -> list[Sensitivity]:
    """Measure every layer alone on validation windows; log the table and its picture."""
    from ecgexp.report.sensitivity import draw_sensitivity

    val = room.data.split("val")
    rows = np.linspace(0, len(val.y) - 1, min(n_windows, len(val.y))).astype(int)
    answers = room.objective().answers
    found = measure(quantized, source, val.x[rows], val.y[rows], widths, answers=answers)
    room.run.log_artefact(write_table(found, room.folder / "sensitivity.csv"))
    room.run.log_artefact(draw_sensitivity(found, room.folder / "sensitivity.png"))
    return found


def output_step(model: onnx.ModelProto) -> float:
    """Return the scale of the logits."""
    constants = {value.name: value for value in model.graph.initializer}
    last = [node for node in model.graph.node if node.op_type == "DequantizeLinear"][-1]
    return float(onnx.numpy_helper.to_array(constants[last.input[1]]))
