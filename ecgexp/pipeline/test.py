"""The test stage: the exported networks on data that no decision has seen, once."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from ecgexp.config.build import build
from ecgexp.pipeline.export import FLOAT_ONNX
from ecgexp.pipeline.predictions import answers, save_predictions
from ecgexp.pipeline.quantize import ONNX
from ecgexp.pipeline.room import Room
from ecgexp.tracking import names

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ecgexp.dataset.windows import WindowSet

N_SALIENT = 6


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
    said = objective.answers(logits)
    report = folder / "classification_report.txt"
    files = [
        classification_report(labels, test.y, said, report, windows_per_s=windows_per_s),
        pictures.error_examples(
            *(room.data.spec, test, logits, folder / "error_examples.png"),
            threshold=objective.threshold,
        ),
    ]
    if not room.data.spec.several:  # else nothing is taken for another class
        picture = folder / "confusion_matrix.png"
        files.append(pictures.confusion_matrix(labels, test.y, said, picture))
    for file in files:
        room.run.log_artefact(file)
    _log_certainty(room, test, logits)
    deployed = figures
    if build(room.config["quantization"], path="quantization").scheme != "none":
        _, quantized_logits = answers(room, folder / ONNX, "test")
        deployed = objective.metrics(test.y, quantized_logits)
        save_predictions(room, "test_quantized", test, quantized_logits)
        same = (said == objective.answers(quantized_logits)).reshape(len(test), -1).all(axis=1)
        room.run.log_metrics(
            {
                "quantization/agreement": float(same.mean()),
                "quantization/float_accuracy": figures["accuracy"],
                "quantization/accuracy_drop": figures["accuracy"] - deployed["accuracy"],
                **{f"quantization/int8_{name}": value for name, value in deployed.items()},
            }
        )
    room.run.log_metrics(
        {
            names.MODEL_ACCURACY: deployed["accuracy"],
            names.MODEL_F1: deployed["f1_macro"],
        }
    )


def _log_certainty(room: Room, test: WindowSet, logits: NDArray[np.float32]) -> None:
    """Log whether probabilities can be trusted, and what the surest mistakes hang on."""
    import numpy as np

    from ecgexp.report import pictures
    from ecgexp.report.certainty import calibration_error
    from ecgexp.report.strips import surest_mistakes
    from ecgexp.training.metrics import probabilities
    from ecgexp.training.saliency import saliency

    spec, folder = room.data.spec, room.folder
    probability = probabilities(logits, several=spec.several)
    room.run.log_metrics({"test/calibration_error": calibration_error(test.y, probability)})
    picture = pictures.certainty(spec.labels, test.y, probability, folder / "certainty.png")
    room.run.log_artefact(picture)
    if spec.several:
        return  # saliency is that of the one class a window is said to have
    predicted = logits.argmax(axis=1)
    chosen = surest_mistakes(test.y, predicted, probability.max(axis=1), N_SALIENT)
    if len(chosen):
        x = np.asarray(test.x[chosen])
        titles = [
            f"{spec.labels[test.y[i]]} taken for {spec.labels[predicted[i]]}, record "
            f"{test.record[i]}"
            for i in chosen
        ]
        marks = saliency(room.network(), x)
        picture = pictures.saliency_strips(spec, x, marks, titles, folder / "saliency.png")
        room.run.log_artefact(picture)
