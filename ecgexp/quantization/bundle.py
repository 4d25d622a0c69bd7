"""The bundle: one folder with all that the deploy stage may know about a network."""

from __future__ import annotations

import hashlib
import json
import platform
import re
import shutil
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from ecgexp import __version__
from ecgexp.errors import ExportError
from ecgexp.quantization.arrays import read_arrays
from ecgexp.quantization.foreign import read_classifier, read_windows
from ecgexp.quantization.graph import save_atomically
from ecgexp.quantization.reference import run_onnx
from ecgexp.types import Bundle, Scheme, SignalSpec

SCHEMA = 1
INDEX = "bundle.json"
MODEL, GOLDEN = "model.onnx", "golden.npz"
FLOAT_MODEL, CHECKPOINT, CONFIG = "model_float.onnx", "checkpoint.ckpt", "config.yaml"
_REQUIRED = (MODEL, GOLDEN)
_FILES = frozenset({*_REQUIRED, FLOAT_MODEL, CHECKPOINT, CONFIG})
_SCHEMES: tuple[Scheme, ...] = get_args(Scheme)
_LIBRARIES = ("numpy", "onnx", "onnxruntime", "pytorch-lightning", "torch")
_REMEDY = "run the training again or take the bundle from its MLflow run again"


def write_bundle(  # noqa: PLR0913 - a bundle is these nine things
    folder: Path,
    *,
    name: str,
    spec: SignalSpec,
    scheme: Scheme,
    checkpoint: Path | None,
    config: Path | None,
    float_onnx: Path | None,
    onnx: Path,
    golden_windows: NDArray[np.float32],
) -> Bundle:
    """Write a bundle; the folder appears only when it is complete.

    The golden file of a quantized network also has `y_fused`, the outputs of ONNX Runtime's integer
    kernels. They are equal to `y` unless somebody else's scales make float32 round inside a sum;
    then no integer arithmetic can follow `y` in every window.

    Args:
        folder: Folder to make; one that is there is replaced, and may hold the sources.
        name: What messages and the firmware call the network; other characters become `_`.
        spec: Input and output of the network.
        scheme: How `onnx` was made.
        checkpoint: The trained weights; None for a network that no run made.
        config: The resolved configuration as YAML, likewise.
        float_onnx: The network before quantization, likewise.
        onnx: The network to deploy.
        golden_windows: Windows (window, lead, sample) that the device will run; the outputs
            beside them come from ONNX Runtime on `onnx`.

    Raises:
        ExportError: There is no golden window, one is not finite or has another shape, or the
            network answers NaN.
    """
    golden = _golden_arrays(onnx, golden_windows, scheme)
    aside = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    try:
        for source, target in (
            (onnx, MODEL),
            (float_onnx, FLOAT_MODEL),
            (checkpoint, CHECKPOINT),
            (config, CONFIG),
        ):
            if source is not None:
                shutil.copyfile(source, aside / target)
        np.savez_compressed(aside / GOLDEN, allow_pickle=False, **golden)
        index = {
            "schema": SCHEMA,
            "name": re.sub(r"[^A-Za-z0-9._-]", "_", name) or "network",
            "spec": spec.to_dict(),
            "scheme": scheme,
            "versions": library_versions(),
            "files": {path.name: _sha256(path) for path in sorted(aside.iterdir())},
        }
        (aside / INDEX).write_text(json.dumps(index, indent=2, sort_keys=True) + "\n")
        shutil.rmtree(folder, ignore_errors=True)
        aside.rename(folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return read_bundle(folder)


def bundle_from_onnx(
    onnx: Path, golden: Path | None, folder: Path, *, seed: int, n_golden: int
) -> Bundle:
    """Check an ONNX classifier that no run made and write a bundle for it.

    Args:
        onnx: Network with one input (1, lead, sample), (1, channel, row, column) or (1, feature)
            float32 and one output (1, class) float32, in float or in QDQ form.
        golden: `.npz` with windows `x` (window, ...); None draws normal noise.
        folder: Folder to make.
        seed: Seed of that draw.
        n_golden: Windows to draw.

    Raises:
        ExportError: The network or the windows cannot be used.
    """
    classifier = read_classifier(onnx)
    if golden is not None:
        windows = read_windows(golden, classifier.window_shape)
    else:
        generator = np.random.default_rng(seed)
        windows = generator.standard_normal((n_golden, *classifier.window_shape), np.float32)
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Saved again: weights that lie in files of their own come along inside.
    whole = folder.with_name(f"{folder.name}.onnx")
    try:
        save_atomically(classifier.network, whole)
        return write_bundle(
            folder,
            name=onnx.stem,
            spec=classifier.spec,
            scheme=classifier.scheme,
            checkpoint=None,
            config=None,
            float_onnx=None,
            onnx=whole,
            golden_windows=windows,
        )
    finally:
        whole.unlink(missing_ok=True)


def read_bundle(folder: Path) -> Bundle:
    """Read a bundle and verify every file of it.

    Raises:
        ExportError: A file is missing, changed or not what it should be.
    """
    index = _read_index(folder)
    try:
        files = dict(index["files"])
        bundle = Bundle(
            folder=folder,
            name=str(index["name"]),
            spec=SignalSpec.from_dict(index["spec"]),
            scheme=index["scheme"],
            onnx=folder / MODEL,
            golden=folder / GOLDEN,
            versions=dict(index["versions"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ExportError(
            f"{folder / INDEX}: field missing or wrong ({error!r}); {_REMEDY}"
        ) from error
    if bundle.scheme not in _SCHEMES:
        raise ExportError(f"{folder / INDEX}: scheme={bundle.scheme!r}, known are {_SCHEMES}")
    unknown = sorted(set(files) - _FILES)
    if unknown:
        raise ExportError(f"{folder / INDEX}: names unknown files {unknown}; {_REMEDY}")
    for name in sorted({*files, *_REQUIRED}):
        path = folder / name
        if not path.is_file():
            raise ExportError(f"{path} is missing from the bundle; {_REMEDY}")
        if _sha256(path) != files.get(name):
            raise ExportError(f"{path} is corrupt: its SHA-256 is not the recorded one; {_REMEDY}")
    read_golden(bundle)
    return bundle


def read_golden(bundle: Bundle) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return golden windows (window, ...) and the outputs (window, class) they must give.

    Raises:
        ExportError: The file cannot be read or does not fit the bundle.
    """
    arrays = read_arrays(bundle.golden)
    missing = {"x", "y"} - set(arrays)
    if missing:
        raise ExportError(f"{bundle.golden}: no array {sorted(missing)}; {_REMEDY}")
    x, y = arrays["x"], arrays["y"]
    if len(x) == 0 or y.shape != (len(x), bundle.spec.n_classes):
        raise ExportError(
            f"{bundle.golden}: x {x.shape} and y {y.shape} do not fit "
            f"{bundle.spec.n_classes} classes; {_REMEDY}"
        )
    return x, y


def library_versions() -> dict[str, str]:
    """Return the versions of everything that shapes a bundle."""
    versions = {"ecgexp": __version__, "python": platform.python_version()}
    for library in _LIBRARIES:
        try:
            versions[library] = version(library)
        except PackageNotFoundError:
            versions[library] = "absent"
    return versions


def _golden_arrays(
    onnx: Path, x: NDArray[np.float32], scheme: Scheme
) -> dict[str, NDArray[np.float32]]:
    if len(x) == 0:
        raise ExportError("deploy.n_golden=0: the device needs at least 1 golden window")
    if not bool(np.isfinite(x).all()):
        raise ExportError("a golden window holds NaN or infinity: repair the recordings")
    outputs = {"x": x.astype(np.float32), "y": run_onnx(onnx, x)}
    if not bool(np.isfinite(outputs["y"]).all()):
        raise ExportError(f"{onnx}: the network answers NaN or infinity to a golden window")
    if scheme != "none":
        outputs["y_fused"] = run_onnx(onnx, x, optimise=True)
    return outputs


def _read_index(folder: Path) -> dict[str, Any]:
    path = folder / INDEX
    if not path.is_file():
        raise ExportError(f"{path} is missing: {folder} is no bundle; {_REMEDY}")
    try:
        index = json.loads(path.read_text())
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ExportError(f"{path} is no JSON ({error}); {_REMEDY}") from error
    schema = index.get("schema") if isinstance(index, dict) else None
    if schema != SCHEMA:
        raise ExportError(f"{path}: schema={schema!r}, this ecgexp reads {SCHEMA}; {_REMEDY}")
    return dict(index)


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
