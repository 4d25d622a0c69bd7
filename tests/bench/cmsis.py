"""CMSIS-NN itself, built from the sources in a wheel on PyPI and measured like our own code."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ecgexp.config.build import build as build_node
from ecgexp.config.compose import compose
from ecgexp.deploy.firmware import build
from ecgexp.deploy.runner import runner_for

# CMSIS-NN 5.0.0, Apache-2.0; later versions of the wheel lack the sources.
WHEEL = "aidge_export_arm_cortexm==0.2.1"
_PREFIX = "aidge_export_arm_cortexm/_CMSIS-NN/CMSIS-NN/"
_SOURCES = Path(__file__).parent / "cmsis_nn"
_KERNELS = ("ConvolutionFunctions", "FullyConnectedFunctions", "NNSupportFunctions", "Pooling")
_FLAGS = ("-mthumb", "-mfloat-abi=hard", "-Ofast", "-std=c11", "-ffunction-sections")


@dataclass(frozen=True, kw_only=True)
class CmsisCase:
    """Networks without skip connections need no code generator; the arena is two buffers."""

    title: str
    name: str
    inputs: int
    outputs: int
    arena_bytes: int


CASES = (
    CmsisCase(
        title="plain CNN, 3600 x 1",
        name="plain",
        inputs=3600,
        outputs=7,
        arena_bytes=3600 * 8 + 900 * 8,
    ),
    CmsisCase(
        title="convolution 64 to 64, k 9, 256 positions",
        name="conv",
        inputs=256 * 64,
        outputs=1,
        arena_bytes=256 * 64,
    ),
)


@dataclass(frozen=True, kw_only=True)
class CmsisOutcome:
    instructions: int
    cycles_est: int | None
    flash_bytes: int
    ram_bytes: int


def fetch(cache: Path) -> Path:
    """Return the folder with CMSIS-NN's Include and Source, downloaded unless the cache has it."""
    root = cache / "cmsis_nn"
    if not (root / "Include").is_dir():
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        subprocess.run([*command, "--dest", str(cache), WHEEL], check=True)
        with zipfile.ZipFile(next(cache.glob("aidge_export_arm_cortexm-*.whl"))) as wheel:
            for name in wheel.namelist():
                relative = name.removeprefix(_PREFIX)
                if relative.startswith(("Include/", "Source/")) and not name.endswith("/"):
                    path = root / relative
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_bytes(wheel.read(name))
    return root


def compile_kernels(root: Path, cpu: str, folder: Path) -> list[Path]:
    """Compile the int8 kernels once; the linker keeps what a network calls."""
    folder.mkdir(parents=True, exist_ok=True)
    sources = [
        path
        for path in sorted((root / "Source").rglob("*.c"))
        if path.parent.name.startswith(_KERNELS) and "lstm" not in path.name
    ]
    missing = [path for path in sources if not (folder / f"{path.stem}.o").is_file()]
    if missing:
        _compile(missing, root, cpu, folder)
    return [folder / f"{path.stem}.o" for path in sources]


def run_case(case: CmsisCase, target_name: str, folder: Path) -> CmsisOutcome:
    """Build and run one network; golden inputs are noise, outputs are not compared."""
    config = compose("config", [f"target={target_name}"]).config
    target = build_node(config["target"], path="target")
    root = fetch(folder / "cache")
    kernels = compile_kernels(root, target.cpu, folder / "cache" / f"cmsis_nn-{target.cpu}")
    library = folder / "cmsis" / target_name / case.name
    library.mkdir(parents=True, exist_ok=True)
    sizes = {"INPUTS": case.inputs, "OUTPUTS": case.outputs, "ARENA": case.arena_bytes}
    header = (_SOURCES / "model.h.in").read_text()
    for key, value in sizes.items():
        header = header.replace(f"@{key}@", str(value))
    (library / "model.h").write_text(header)
    _compile([_SOURCES / f"{case.name}.c"], root, target.cpu, library, library, _SOURCES)
    for kernel in kernels:
        (library / kernel.name).write_bytes(kernel.read_bytes())
    inputs = np.random.default_rng(0).integers(-128, 128, (2, case.inputs)).astype(np.int8)
    firmware = build(library, inputs, target, library / "firmware")
    log = runner_for(target)(
        firmware,
        target,
        timeout_s=300.0,
        folder=library / "run",
        cache_folder=folder / "cache",
    )
    record = log.records[0]
    return CmsisOutcome(
        instructions=record.instructions or 0,
        cycles_est=record.cycles_est,
        flash_bytes=firmware.flash_bytes,
        ram_bytes=firmware.total_ram_bytes(log.stack_bytes),
    )


def _compile(sources: list[Path], root: Path, cpu: str, folder: Path, *include: Path) -> None:
    paths = [f"-I{path}" for path in (root / "Include", *include)]
    words = ["arm-none-eabi-gcc", f"-mcpu={cpu}", *_FLAGS, *paths, "-c"]
    subprocess.run([*words, *(str(path.resolve()) for path in sources)], check=True, cwd=folder)
