"""MLflow's model registry: ONNX models as versions, found by an alias."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ecgexp.errors import TrackingError
from ecgexp.interrupt import uninterrupted

if TYPE_CHECKING:
    from ecgexp.tracking.run import Run
    from ecgexp.tracking.store import Store

# What loads the model: named, for MLflow would otherwise spend 15 s on guessing.
_LIBRARIES = ("mlflow", "numpy", "onnx", "onnxruntime")


def write_model(
    folder: Path,
    onnx: Path,
    *,
    metadata: Mapping[str, Any],
    extra: Mapping[str, Path],
) -> Path:
    """Write an ONNX file as an MLflow model; there is no pickle in it.

    Args:
        folder: Folder to make.
        onnx: The network; names and shapes of its input and output become the signature.
        metadata: Plain values to keep in `MLmodel`.
        extra: Folders or files to put beside the model, by name.
    """
    from importlib.metadata import version

    import mlflow.onnx
    import onnx as onnx_library

    network = onnx_library.load(str(onnx))
    mlflow.onnx.save_model(
        network,
        str(folder),
        signature=_signature(network),
        pip_requirements=[f"{name}=={version(name)}" for name in _LIBRARIES],
        onnx_execution_providers=["CPUExecutionProvider"],
        # The graph as written: what the golden outputs come from.
        onnx_session_options={"graph_optimization_level": 0},
        metadata=dict(metadata),
        save_as_external_data=False,
    )
    for name, source in extra.items():
        copy = shutil.copytree if source.is_dir() else shutil.copyfile
        copy(source, folder / name)
    return folder


def _signature(network: Any) -> Any:
    import numpy as np
    from mlflow.models import ModelSignature
    from mlflow.types import Schema, TensorSpec

    def schema(values: Any) -> Schema:
        return Schema(
            [
                TensorSpec(
                    np.dtype(np.float32),
                    tuple(axis.dim_value or -1 for axis in value.type.tensor_type.shape.dim),
                    value.name,
                )
                for value in values
            ]
        )

    return ModelSignature(inputs=schema(network.graph.input), outputs=schema(network.graph.output))


def register(
    store: Store, run: Run, model: Path, *, name: str, alias: str, tags: Mapping[str, str]
) -> int:
    """Add a model folder to a run's artefacts and register it; the alias then points at it.

    A run has one version of a name: registered again, its tags are brought up to date.

    Args:
        store: Where run and registry are.
        run: The run that made the model.
        model: Folder of `write_model`.
        name: The registered model, made when it is new.
        alias: Alias to set.
        tags: Tags of the version.

    Returns:
        The version's number.

    Raises:
        TrackingError: MLflow refuses a name, an alias or a tag.
    """
    from mlflow.exceptions import MlflowException

    client = store.open()
    place = f"promoted/{name}"
    try:
        with uninterrupted():
            if not client.search_registered_models(filter_string=f"name = '{name}'"):
                client.create_registered_model(name)
            found = client.search_model_versions(f"name = '{name}' and run_id = '{run.run_id}'")
            run.log_artefact(model, place)
            if found:
                version = found[0].version
                for key, value in tags.items():
                    client.set_model_version_tag(name, version, key, value)
            else:
                source = f"runs:/{run.run_id}/{place}"
                made = client.create_model_version(
                    name, source, run_id=run.run_id, tags=dict(tags), await_creation_for=0
                )
                version = made.version
            client.set_registered_model_alias(name, alias, version)
    except MlflowException as error:
        raise TrackingError(
            f"name={name} alias={alias}: MLflow refuses it: {error.message}"
        ) from error
    return int(version)
