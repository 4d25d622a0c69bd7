"""The export stage: the best network as ONNX, and what it answers on the validation split."""

from __future__ import annotations

from ecgexp.pipeline.predictions import save_predictions
from ecgexp.pipeline.room import Room

FLOAT_ONNX = "model_float.onnx"
# Validation figures of the epoch that was kept; those without the word are the last epoch's.
KEPT = "val/kept_"


def export_network(room: Room) -> None:
    """Leave `model_float.onnx` in the run's folder.

    Raises:
        ExportError: The exported network computes something else than the trained one.
    """
    import numpy as np

    from ecgexp.quantization.evaluate import check_export
    from ecgexp.quantization.export import export_onnx
    from ecgexp.quantization.reference import run_onnx
    from ecgexp.training.evaluate import predict_logits

    network = room.network()
    onnx = export_onnx(network, room.data.spec, room.folder / FLOAT_ONNX)
    val = room.data.split("val")
    torch_logits = predict_logits(network, val.x)
    logits = run_onnx(onnx, val.x)
    check_export(torch_logits, logits)
    difference = float(np.abs(torch_logits - logits).max(initial=0.0))
    judged, answered = room.data.judge("val", logits)
    kept = room.objective().metrics(judged.y, answered)
    room.run.log_metrics(
        {
            "val/torch_onnx_max_difference": difference,
            **{f"{KEPT}{name}": value for name, value in kept.items()},
        }
    )
    save_predictions(room, "val", judged, answered)


def validate_network(room: Room) -> None:
    """Log what `export_network` logs of the kept epoch, without exporting it."""
    from ecgexp.training.evaluate import predict_logits

    val = room.data.split("val")
    judged, answered = room.data.judge("val", predict_logits(room.network(), val.x))
    kept = room.objective().metrics(judged.y, answered)
    room.run.log_metrics({f"{KEPT}{name}": value for name, value in kept.items()})
