"""The quantize stage: fewer bits, checked on the validation split, packed as a bundle."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ecgexp.config.build import build
from ecgexp.pipeline.export import FLOAT_ONNX
from ecgexp.pipeline.predictions import answers, save_predictions
from ecgexp.pipeline.room import Room
from ecgexp.tracking import names

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from ecgexp.quantization.ptq import StaticInt8

ONNX = "model.onnx"
BUNDLE = "bundle"


def quantize_network(room: Room, name: str) -> None:
    """Leave `model.onnx` and the bundle in the run's folder.

    Args:
        room: The run's folder, data and settings.
        name: Name of the bundle.

    Raises:
        ExportError: The quantized network loses more than `quantization.max_drop` of the
            validation accuracy.
    """
    from ecgexp.quantization.bundle import write_bundle
    from ecgexp.quantization.spread import log_equalisation
    from ecgexp.training.room import RetrainingQuantizer

    folder = room.folder
    quantizer = build(room.config["quantization"], path="quantization")
    calibration = room.data.calibration_windows(quantizer.n_calibration)
    float_onnx, onnx = folder / FLOAT_ONNX, folder / ONNX
    if isinstance(quantizer, RetrainingQuantizer):
        onnx = quantizer.retrain(room, float_onnx, calibration, onnx)
    else:
        onnx = quantizer.quantize(float_onnx, calibration, onnx)
        if getattr(quantizer, "sensitivity", 0):
            _log_sensitivity(room, quantizer, calibration)
    if quantizer.untrained.equalizes:
        log_equalisation(room, quantizer.untrained, float_onnx, calibration)
    if quantizer.scheme != "none":
        _check(room, onnx, quantizer.max_drop)
    _log_size(room, onnx)
    bundle = write_bundle(
        folder / BUNDLE,
        name=name,
        spec=room.data.spec,
        scheme=quantizer.scheme,
        checkpoint=room.best,
        config=folder / "config.yaml",
        float_onnx=float_onnx,
        onnx=onnx,
        golden_windows=room.data.golden_windows(room.config["deploy"]["n_golden"]),
    )
    room.run.log_artefact(bundle.folder, BUNDLE)


def _log_size(room: Room, onnx: Path) -> None:
    """Log what the parameters take in flash, counted alike for every quantization."""
    from ecgexp.deploy.stored import stored_bytes

    stored = stored_bytes(onnx)
    room.run.log_metrics(
        {
            names.MODEL_BYTES: stored.total,
            "model/weight_bytes": stored.weights,
            "model/bias_bytes": stored.biases,
            "model/scale_bytes": stored.scales,
        }
    )


def _log_sensitivity(room: Room, quantizer: StaticInt8, calibration: NDArray[np.float32]) -> None:
    import onnx

    from ecgexp.quantization.qat.quantizer import log_sensitivity

    prepared = quantizer.prepare(
        room.folder / FLOAT_ONNX, calibration, room.folder / "model_prepared.onnx"
    )
    quantized, source = onnx.load(room.folder / ONNX), onnx.load(prepared)
    log_sensitivity(room, quantized, source, (8,), quantizer.sensitivity)


def _check(room: Room, onnx: Path, max_drop: float | None) -> None:
    """Say what quantization costs on the validation split; the test split decides nothing."""
    from ecgexp.quantization.evaluate import check_drop

    objective = room.objective()
    val, float_logits = answers(room, room.folder / FLOAT_ONNX, "val")
    before = objective.metrics(val.y, float_logits)
    _, logits = answers(room, onnx, "val")
    after = objective.metrics(val.y, logits)
    save_predictions(room, "val_quantized", val, logits)
    drop = before["accuracy"] - after["accuracy"]
    room.run.log_metrics(
        {
            "quantization/val_accuracy_drop": drop,
            **{f"quantization/val_{name}": value for name, value in after.items()},
        }
    )
    check_drop(drop, max_drop)
