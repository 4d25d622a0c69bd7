"""Bundles: what goes in comes out, and nothing damaged comes out."""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ecgexp.errors import ExportError
from ecgexp.quantization.arrays import read_arrays
from ecgexp.quantization.bundle import read_bundle, read_golden, write_bundle
from ecgexp.quantization.reference import run_onnx
from ecgexp.types import Bundle


def write(example: Any, folder: Path, **changes: Any) -> Bundle:
    checkpoint, config = folder.parent / "best.ckpt", folder.parent / "resolved.yaml"
    checkpoint.write_bytes(b"weights")
    config.write_text("seed: 1\n")
    fields = {
        "name": "my net/é",
        "spec": example.spec,
        "scheme": "ptq_int8",
        "checkpoint": checkpoint,
        "config": config,
        "float_onnx": example.float_onnx,
        "onnx": example.int8_onnx,
        "golden_windows": example.x[:5],
    }
    return write_bundle(folder, **{**fields, **changes})


@pytest.fixture
def bundle(example: Any, tmp_path: Path) -> Bundle:
    return write(example, tmp_path / "bundle")


def test_holds_everything(example: Any, bundle: Bundle) -> None:
    assert sorted(os.listdir(bundle.folder)) == [
        "bundle.json",
        "checkpoint.ckpt",
        "config.yaml",
        "golden.npz",
        "model.onnx",
        "model_float.onnx",
    ]
    assert bundle == read_bundle(bundle.folder)
    assert (bundle.name, bundle.scheme, bundle.spec) == ("my_net__", "ptq_int8", example.spec)
    assert bundle.onnx.read_bytes() == example.int8_onnx.read_bytes()
    assert {"ecgexp", "python", "torch", "onnx", "onnxruntime", "numpy"} <= set(bundle.versions)


def test_golden_outputs_are_the_reference(example: Any, bundle: Bundle) -> None:
    x, y = read_golden(bundle)
    np.testing.assert_array_equal(x, example.x[:5])
    np.testing.assert_array_equal(y, run_onnx(bundle.onnx, x))
    np.testing.assert_array_equal(read_arrays(bundle.golden)["y_fused"], y)


def test_a_float_bundle_has_one_reference_only(example: Any, tmp_path: Path) -> None:
    bundle = write(example, tmp_path / "b", scheme="none", onnx=example.float_onnx)
    assert sorted(read_arrays(bundle.golden)) == ["x", "y"]


def test_replaces_a_folder_that_holds_its_sources(example: Any, bundle: Bundle) -> None:
    (bundle.folder / "stale.txt").write_text("old")
    again = write(example, bundle.folder, onnx=bundle.onnx, golden_windows=example.x[:2])
    assert not (bundle.folder / "stale.txt").exists()
    assert len(read_golden(again)[0]) == 2


def test_a_failed_write_leaves_the_old_bundle(
    example: Any, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez_compressed", full)
    with pytest.raises(OSError, match="No space left"):
        write(example, bundle.folder, golden_windows=example.x[:1])
    assert read_bundle(bundle.folder) == bundle
    assert not bundle.folder.with_name("bundle.part").exists()


@pytest.mark.parametrize(
    ("windows", "message"),
    [
        (lambda x: x[:0], r"deploy\.n_golden=0: the device needs at least 1"),
        (lambda x: x * np.float32(np.nan), "a golden window holds NaN"),
        (lambda x: x[:, :1], r"takes windows of shape \(2, 101\), got \(1, 101\)"),
    ],
)
def test_refuses_bad_golden_windows(
    example: Any, tmp_path: Path, windows: Callable[[np.ndarray], np.ndarray], message: str
) -> None:
    with pytest.raises(ExportError, match=message):
        write(example, tmp_path / "bundle", golden_windows=windows(example.x))
    assert not list(tmp_path.glob("bundle*"))


def edit(folder: Path, **changes: Any) -> None:
    index = json.loads((folder / "bundle.json").read_text())
    (folder / "bundle.json").write_text(json.dumps({**index, **changes}))


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


DAMAGE: dict[str, tuple[Callable[[Path], Any], str]] = {
    "no index": (
        lambda folder: (folder / "bundle.json").unlink(),
        r"bundle\.json is missing: .* is no bundle; .*MLflow run",
    ),
    "no json": (
        lambda folder: (folder / "bundle.json").write_text("{"),
        r"bundle\.json is no JSON",
    ),
    "binary index": (
        lambda folder: (folder / "bundle.json").write_bytes(b"\xff\xfe\x00"),
        r"bundle\.json is no JSON",
    ),
    "list": (
        lambda folder: (folder / "bundle.json").write_text("[]"),
        r"schema=None, this ecgexp reads 1",
    ),
    "newer": (lambda folder: edit(folder, schema=2), r"schema=2, this ecgexp reads 1"),
    "no spec": (lambda folder: edit(folder, spec={}), r"field missing or wrong \(KeyError"),
    "scheme": (lambda folder: edit(folder, scheme="int3"), r"scheme='int3', known are"),
    "escape": (
        lambda folder: edit(folder, files={"../../etc/passwd": "0"}),
        r"names unknown files \['\.\./\.\./etc/passwd'\]",
    ),
    "no hash": (lambda folder: edit(folder, files={}), r"golden\.npz is corrupt"),
    "no model": (
        lambda folder: (folder / "model.onnx").unlink(),
        r"model\.onnx is missing from the bundle; run the training again",
    ),
    "model": (
        lambda folder: flip(folder / "model.onnx"),
        r"model\.onnx is corrupt: its SHA-256 is not the recorded one",
    ),
    "checkpoint": (
        lambda folder: flip(folder / "checkpoint.ckpt"),
        r"checkpoint\.ckpt is corrupt",
    ),
    "golden": (lambda folder: flip(folder / "golden.npz"), r"golden\.npz is corrupt"),
}


@pytest.mark.parametrize("damage", list(DAMAGE))
def test_refuses_a_damaged_bundle(bundle: Bundle, damage: str) -> None:
    spoil, message = DAMAGE[damage]
    spoil(bundle.folder)
    with pytest.raises(ExportError, match=message):
        read_bundle(bundle.folder)


class Bomb:
    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, (os.environ["BOMB"],)


def test_never_unpickles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    crater = tmp_path / "crater"
    monkeypatch.setenv("BOMB", str(crater))
    np.savez(tmp_path / "objects.npz", x=np.array([Bomb()], dtype=object))
    (tmp_path / "pickle.npz").write_bytes(pickle.dumps(Bomb()))
    for name in ("objects.npz", "pickle.npz"):
        with pytest.raises(ExportError, match=rf"{name} is no readable \.npz of plain arrays"):
            read_arrays(tmp_path / name)
    assert not crater.exists()
