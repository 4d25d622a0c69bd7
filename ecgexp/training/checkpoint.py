"""Checkpoint files: written whole or not at all, read back without running code from them."""

from __future__ import annotations

import io
import pickle
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning.plugins.io import TorchCheckpointIO
from torch import Tensor

from ecgexp.errors import ExportError
from ecgexp.training.resize import resize
from ecgexp.types import SignalSpec

KEY = "ecgexp"
SCHEMA = 1
NETWORK_PREFIX = "network."
_REMEDY = "name another checkpoint, or train again"


@dataclass(frozen=True, kw_only=True, slots=True)
class Checkpoint:
    """What ecgexp keeps in a checkpoint beside Lightning's own state.

    Attributes:
        path: The file.
        network_state: Tensors of the network by name.
        spec: Input and output of the network.
        config: Resolved configuration of the run.
        versions: Library versions that wrote the file.
        epoch: Epoch that ended with this state, from 0.
        history: One row of metrics per epoch up to that one.
        resized: Whether layers have other shapes than the configured architecture's.
    """

    path: Path
    network_state: dict[str, Tensor]
    spec: SignalSpec
    config: dict[str, Any]
    versions: dict[str, str]
    epoch: int
    history: list[dict[str, float]]
    resized: bool


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint that a fit wrote.

    Raises:
        ExportError: The file is missing, damaged, or not one of ecgexp's.
    """
    content = _read(path)
    record = content.get(KEY)
    if not isinstance(record, dict) or "state_dict" not in content:
        raise ExportError(f"{path}: not a checkpoint of ecgexp (no `{KEY}` record); {_REMEDY}")
    if record.get("schema") != SCHEMA:
        raise ExportError(
            f"{path}: checkpoint schema {record.get('schema')!r}, this version reads {SCHEMA}; "
            "use the ecgexp version that wrote it, or train again"
        )
    return Checkpoint(
        path=path,
        network_state={
            name.removeprefix(NETWORK_PREFIX): tensor
            for name, tensor in content["state_dict"].items()
            if name.startswith(NETWORK_PREFIX)
        },
        spec=SignalSpec.from_dict(record["spec"]),
        config=record["config"],
        versions=record["versions"],
        epoch=int(content["epoch"]),
        history=record["history"],
        resized=bool(record.get("resized", False)),
    )


def load_network_state(path: Path) -> dict[str, Tensor]:
    """Return the network's tensors of a checkpoint, ready for `load_state_dict`.

    Raises:
        ExportError: The file is missing, damaged, or not one of ecgexp's.
    """
    return load_checkpoint(path).network_state


def load_into(network: torch.nn.Module, path: Path) -> None:
    """Give a network the tensors, and after pruning the shapes, of a checkpoint.

    Raises:
        ExportError: The file cannot be read, or it is of another network.
    """
    checkpoint = load_checkpoint(path)
    state = checkpoint.network_state
    if checkpoint.resized:
        resize(network, state)
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        raise ExportError(
            f"{path}: the checkpoint is of another network than {type(network).__name__}: "
            f"{_differences(network.state_dict(), state)}; rebuild the network from the "
            "checkpoint's own configuration"
        ) from error


def _differences(own: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> str:
    """Count what does not fit, and name the first of each kind."""
    kinds = {
        "missing in it": [name for name in own if name not in found],
        "unknown to the network": [name for name in found if name not in own],
        "of another shape": [
            f"{name} {tuple(found[name].shape)} for {tuple(tensor.shape)}"
            for name, tensor in own.items()
            if name in found and found[name].shape != tensor.shape
        ],
    }
    return ", ".join(
        f"{len(names)} tensors {kind} (first {names[0]})" for kind, names in kinds.items() if names
    )


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise ExportError(f"{path}: no such checkpoint; {_REMEDY}")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, OSError, KeyError, ValueError) as error:
        raise ExportError(
            f"{path}: damaged checkpoint ({_first_line(error)}); {_REMEDY}"
        ) from error
    except (pickle.UnpicklingError, zipfile.BadZipFile) as error:
        raise ExportError(
            f"{path}: more than tensors and plain values in it ({_first_line(error)}); {_REMEDY}"
        ) from error
    if not isinstance(content, dict):
        raise ExportError(f"{path}: holds a {type(content).__name__}, not a checkpoint; {_REMEDY}")
    return content


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)


class AtomicCheckpointIO(TorchCheckpointIO):
    """Write a checkpoint aside and rename it, so that a kill never leaves half a file."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None
    ) -> None:
        """Write the checkpoint to a local path.

        Raises:
            ExportError: The disk refuses, for example because it is full.
        """
        target = Path(path)
        aside = target.with_name(f".{target.name}.part")
        buffer = io.BytesIO()
        torch.save(checkpoint, buffer)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            aside.write_bytes(buffer.getbuffer())
            aside.replace(target)
        except OSError as error:
            raise ExportError(
                f"{target}: cannot write the checkpoint ({error.strerror}); free space on that "
                "disk or set paths.home to another, then resume the run"
            ) from error
        finally:
            aside.unlink(missing_ok=True)
