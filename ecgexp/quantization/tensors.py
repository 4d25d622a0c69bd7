"""What flows through a float graph on given windows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from ecgexp.quantization.reference import open_session

Tensors = dict[str, NDArray[np.float32]]


def watch(
    model: onnx.ModelProto, names: Sequence[str], windows: NDArray[np.float32], scratch: Path
) -> Iterator[Tensors]:
    """Run windows one by one and yield the tensors asked for.

    Args:
        model: A float network of batch 1 with inferred shapes.
        names: Tensors of the graph, its input among them.
        windows: Windows (window, ...).
        scratch: Folder for the graph with more outputs.
    """
    opened = onnx.ModelProto()
    opened.CopyFrom(model)
    entry = opened.graph.input[0].name
    have = {value.name for value in opened.graph.output} | {entry}
    known = {
        value.name: value for value in onnx.shape_inference.infer_shapes(model).graph.value_info
    }
    opened.graph.output.extend(known[name] for name in names if name not in have)
    path = scratch / "watched.onnx"
    onnx.save(opened, path)
    session = open_session(path, optimise=True)
    wanted = [name for name in names if name != entry]
    for index in range(len(windows)):
        x = np.ascontiguousarray(windows[index : index + 1], dtype=np.float32)
        found: list[Any] = session.run(wanted, {entry: x}) if wanted else []
        yield {entry: x, **dict(zip(wanted, found, strict=True))}
