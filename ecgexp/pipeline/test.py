"""The test stage: the exported networks on data that no decision has seen, once."""

from __future__ import annotations

import time

from ecgexp.config.build import build
from ecgexp.pipeline.export import FLOAT_ONNX
from ecgexp.pipeline.predictions import answers, save_predictions
from ecgexp.pipeline.quantize import ONNX
from ecgexp.pipeline.room import Room


def measure_on_test(room: Room) -> None:
    """Log the figures, predictions and pictures of the float and the quantized network."""
    from ecgexp.report import pictures
    from ecgexp.report.classification import classification_report
    from ecgexp.training.metric_names import of_split

    folder, labels = room.folder, room.data.spec.labels
    objective = room.objective()
    started = time.perf_counter()
    test, logits = answers(room, folder / FLOAT_ONNX, "test")
    windows_per_s = len(room.data.split("test")) / (time.perf_counter() - started)
    figures = objective.metrics(test.y, logits)
    room.run.log_metrics(of_split("test", figures))
    save_predictions(room, "test", test, logits)
    report = folder / "classification_report.txt"
    for file in (
        classification_report(
            labels, test.y, logits.argmax(1), report, windows_per_s=windows_per_s
        ),
        pictures.confusion_matrix(
            labels, test.y, logits.argmax(1), folder / "confusion_matrix.png"
        ),
        pictures.error_examples(room.data.spec, test, logits, folder / "error_examples.png"),
    ):
        room.run.log_artefact(file)
    if build(room.config["quantization"], path="quantization").scheme == "none":
        return
    _, quantized_logits = answers(room, folder / ONNX, "test")
    quantized = objective.metrics(test.y, quantized_logits)
    save_predictions(room, "test_quantized", test, quantized_logits)
    room.run.log_metrics(
        {
            "quantization/float_accuracy": figures["accuracy"],
            "quantization/accuracy_drop": figures["accuracy"] - quantized["accuracy"],
            **{f"quantization/int8_{name}": value for name, value in quantized.items()},
        }
    )
