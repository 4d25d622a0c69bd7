"""`quantization=qat_int8` and `mixed`: train the QDQ graph, write it back with what was learned."""

from __future__ import annotations

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
from ecgexp.training.checkpoint import load_into
from ecgexp.training.optimizer import OptimizerSpec
from ecgexp.training.room import TrainingRoom
from ecgexp.types import Scheme

log = logging.getLogger(__name__)

STAGE = "qat"
WEIGHTS = "model_qat_float.onnx"


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
        self.scheme: Scheme = "mixed" if any(rule.bits < 8 for rule in layers) else "qat_int8"
        self.n_calibration = start.n_calibration
        self.max_drop = start.max_drop

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
        layers = self._choose(source, quantized, room)
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
        self, source: onnx.ModelProto, quantized: onnx.ModelProto, room: TrainingRoom
    ) -> tuple[LayerBits, ...]:
        return self._layers

    def _check_rules(self, network: QuantizedNetwork, layers: Sequence[LayerBits]) -> None:
        import fnmatch

        for rule in layers:
            if not any(fnmatch.fnmatch(name, rule.match) for name in network.weights):
                raise ConfigError(
                    f"quantization.layers: {rule.match!r} matches no weight; there are "
                    f"{', '.join(network.weights)}"
                )

    def _report(self, room: TrainingRoom, network: QuantizedNetwork, out: Path) -> None:
        """Log bits and bytes, and how far torch and ONNX Runtime are apart on the result."""
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


def output_step(model: onnx.ModelProto) -> float:
    """Return the scale of the logits."""
    constants = {value.name: value for value in model.graph.initializer}
    last = [node for node in model.graph.node if node.op_type == "DequantizeLinear"][-1]
    return float(onnx.numpy_helper.to_array(constants[last.input[1]]))
