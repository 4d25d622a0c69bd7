"""Small networks, exported once each, and what an engineer does with an archive."""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ecgexp.deploy.export.exporter import Exported, Exporter
from ecgexp.quantization.bundle import bundle_from_onnx
from ecgexp.target import Target
from tests.deploy import nets
from tests.deploy.zoo import ZOO

OPTIONS: dict[str, Any] = {
    "prefix": "afib",
    "codegen": "c",
    "archive": "tar.gz",
    "n_golden": 4,
    "allow_float_ops": 0,
}
Export = Callable[..., Exported]
Unpack = Callable[..., Path]


@pytest.fixture(scope="session")
def onnx_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Path of a network of the zoo, int8 unless told otherwise."""
    folder = tmp_path_factory.mktemp("onnx")

    def make(name: str, *, int8: bool = True) -> Path:
        path, quantized = folder / f"{name}.onnx", folder / f"{name}_int8.onnx"
        if not path.exists():
            ZOO[name](path)
        if int8 and not quantized.exists():
            nets.quantize(path, quantized)
        return quantized if int8 else path

    return make


@pytest.fixture
def export(tmp_path: Path, onnx_of: Callable[..., Path]) -> Export:
    def run(
        name: str = "squeeze_excite",
        *,
        int8: bool = True,
        target: Target = nets.HOST,
        output: str = "out",
        **options: Any,
    ) -> Exported:
        exporter = Exporter(**{**OPTIONS, **options})
        bundle = bundle_from_onnx(
            onnx_of(name, int8=int8), None, tmp_path / "bundle", seed=1, n_golden=4
        )
        return exporter.export(bundle, target, tmp_path / output)

    return run


@pytest.fixture
def unpack(tmp_path: Path) -> Unpack:
    """Unpack an archive into an empty folder, away from everything else."""

    def into(exported: Exported, name: str = "elsewhere") -> Path:
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        if exported.archive.suffix == ".zip":
            with zipfile.ZipFile(exported.archive) as packed:
                packed.extractall(folder)
        else:
            with tarfile.open(exported.archive) as packed_tar:
                packed_tar.extractall(folder, filter="data")
        shutil.rmtree(exported.folder)
        (library,) = [path for path in folder.iterdir() if path.name.endswith("_model")]
        return library

    return into


def run_tool(*command: str | Path, cwd: Path | None = None, **environment: str) -> str:
    """Run a command and return what it printed; a failure shows it."""
    finished = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    text = finished.stdout + finished.stderr
    assert finished.returncode == 0, f"{' '.join(map(str, command))}\n{text}"
    return text


def check_library(library: Path, *options: str, **environment: str) -> str:
    """Do what the library's README says; return what the golden test printed."""
    run_tool("cmake", "-B", "build", *options, cwd=library, **environment)
    run_tool("cmake", "--build", "build", cwd=library)
    return run_tool("ctest", "--test-dir", "build", "-V", "--no-tests=error", cwd=library)


def need(*tools: str) -> None:
    """Skip a test whose tools are not there."""
    missing = [tool for tool in tools if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"not on PATH: {', '.join(missing)}")
