"""What a network answered, window by window: enough for every later table and curve."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from ecgexp.dataset.windows import WindowSet
    from ecgexp.pipeline.room import Room

FOLDER = "predictions"


def save_predictions(
    room: Room, name: str, windows: WindowSet, logits: NDArray[np.float32]
) -> Path:
    """Log `predictions/<name>.npz`.

    The file holds `labels` (class,), `y` (window,) int64, `logits` (window, class) float32,
    `record` (window,), `patient` (window,) and `start` (window,) in samples of the record.

    Args:
        room: Where the file goes.
        name: The split, for an int8 network with `_quantized` behind it.
        windows: The split's windows.
        logits: Outputs of ONNX Runtime (window, class).
    """
    path = room.folder / FOLDER / f"{name}.npz"
    path.parent.mkdir(exist_ok=True)
    np.savez_compressed(
        path,
        labels=np.array(room.data.spec.labels),
        y=windows.y,
        logits=logits,
        record=windows.record,
        patient=windows.patient,
        start=windows.start,
    )
    room.run.log_artefact(path, FOLDER)
    return path
