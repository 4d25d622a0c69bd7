"""What a network answered, window by window: enough for every later table and curve."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ecgexp.errors import TrackingError

if TYPE_CHECKING:
    from ecgexp.dataset.windows import Split, WindowSet
    from ecgexp.pipeline.room import Room

FOLDER = "predictions"


def answers(room: Room, onnx: Path, split: Split) -> tuple[WindowSet, NDArray[np.float32]]:
    """Run a network over a split.

    Args:
        room: Whose data.
        onnx: The network.
        split: Which split.

    Returns:
        What is judged and the logits (window, class): windows, or with `dataset.judged_by=record`
        one row per recording and the mean over its windows.
    """
    from ecgexp.quantization.reference import run_onnx

    return room.data.judge(split, run_onnx(onnx, room.data.split(split).x))


def save_predictions(
    room: Room, name: str, windows: WindowSet, logits: NDArray[np.float32]
) -> Path:
    """Log `predictions/<name>.npz`.

    The file holds `labels` (class,), `y` (window,) int64, `logits` (window, class) float32,
    `record` (window,), `patient` (window,) and `start` (window,) in samples of the record. With
    `dataset.judged_by=record` there is one row per recording. Where a window can have several
    classes, `y` is (window, class), 0 or 1, and `threshold` () the probability, the sigmoid of a
    logit, from which a class is named.

    Args:
        room: Where the file goes.
        name: The split, for an int8 network with `_quantized` behind it.
        windows: The split's windows or recordings, from `answers`.
        logits: Outputs of ONNX Runtime (window, class), from `answers`.
    """
    path = room.folder / FOLDER / f"{name}.npz"
    path.parent.mkdir(exist_ok=True)
    columns: dict[str, Any] = {
        "labels": np.array(room.data.spec.labels),
        "y": windows.y,
        "logits": logits,
        "record": windows.record,
        "patient": windows.patient,
        "start": windows.start,
    }
    threshold = room.objective().threshold
    if threshold is not None:
        columns["threshold"] = np.array(threshold)
    np.savez_compressed(path, **columns)
    room.run.log_artefact(path, FOLDER)
    return path


@dataclass(frozen=True, kw_only=True)
class Predictions:
    """A predictions file, read back.

    Attributes:
        labels: Class names in the order of the logits.
        y: True classes (window,), or a 0 or 1 for each (window, class).
        logits: Outputs (window, class).
        record: Record of each window (window,).
        patient: Patient of each window (window,).
        start: First sample of each window in its record (window,).
        threshold: Probability from which a class is named, where a window can have several; else
            None.
    """

    labels: tuple[str, ...]
    y: NDArray[np.int64]
    logits: NDArray[np.float32]
    record: NDArray[np.str_]
    patient: NDArray[np.str_]
    start: NDArray[np.int64]
    threshold: float | None

    def taken(self, rows: NDArray[np.int64] | NDArray[np.bool_]) -> Predictions:
        """Return some windows."""
        return Predictions(
            labels=self.labels,
            y=self.y[rows],
            logits=self.logits[rows],
            record=self.record[rows],
            patient=self.patient[rows],
            start=self.start[rows],
            threshold=self.threshold,
        )

    def without(self, records: Sequence[str]) -> Predictions:
        """Return the windows of all other records.

        Raises:
            TrackingError: No window is left.
        """
        rows = ~np.isin(self.record, records)
        if not rows.any():
            raise TrackingError(f"no window is left without the records {', '.join(records)}")
        return self.taken(rows)

    def windows(self) -> list[tuple[str, int]]:
        """Return record and first sample of every window."""
        return list(zip(self.record.tolist(), self.start.tolist(), strict=True))

    @classmethod
    def joined(cls, parts: Sequence[Predictions]) -> Predictions:
        """Return the windows of several files of one task."""
        return cls(
            labels=parts[0].labels,
            y=np.concatenate([part.y for part in parts]),
            logits=np.concatenate([part.logits for part in parts]),
            record=np.concatenate([part.record for part in parts]),
            patient=np.concatenate([part.patient for part in parts]),
            start=np.concatenate([part.start for part in parts]),
            threshold=parts[0].threshold,
        )


def read_predictions(path: Path) -> Predictions:
    """Read a file that `save_predictions` wrote.

    Raises:
        TrackingError: The file is damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            return Predictions(
                labels=tuple(file["labels"].tolist()),
                y=file["y"],
                logits=file["logits"],
                record=file["record"],
                patient=file["patient"],
                start=file["start"],
                threshold=float(file["threshold"]) if "threshold" in file else None,
            )
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise TrackingError(
            f"{path}: not a predictions file ({error}); run the job again with force=true"
        ) from error
