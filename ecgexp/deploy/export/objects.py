"""Compile an exported network's sources and kernels into a static library."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ecgexp.deploy import lower
from ecgexp.deploy.firmware import compiler_cpu
from ecgexp.deploy.process import build_environment, find_tool, read_tail, run_process
from ecgexp.deploy.program import Program
from ecgexp.errors import BuildError
from ecgexp.target import Target

_TIMEOUT_S = 300.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Toolchain:
    """Programs that make objects for a target.

    Attributes:
        compiler: C compiler.
        archiver: Makes static libraries.
        objcopy: Edits objects.
        flags: Flags of the core.
    """

    compiler: str
    archiver: str
    objcopy: str
    flags: tuple[str, ...]


def find_toolchain(target: Target) -> Toolchain:
    """Return the programs that a target needs.

    Args:
        target: What to compile for.

    Raises:
        BuildError: One is missing; the message names it and its package.
    """
    purpose = f"it compiles the exported library for target {target.name}"
    prefix = "" if target.on_host else "arm-none-eabi-"
    compiler = "cc" if target.on_host else "arm-none-eabi-gcc"
    return Toolchain(
        compiler=find_tool(compiler, purpose, BuildError),
        archiver=find_tool(f"{prefix}ar", purpose, BuildError),
        objcopy=find_tool(f"{prefix}objcopy", purpose, BuildError),
        flags=core_flags(target),
    )


def core_flags(target: Target) -> tuple[str, ...]:
    """Return the compiler flags that choose a target's core and calling convention."""
    if target.on_host:
        return ("-fPIC",)
    return (f"-mcpu={compiler_cpu(target)}", "-mthumb", f"-mfloat-abi={target.float_abi}")


def write_objects(
    program: Program, target: Target, tools: Toolchain, *, prefix: str, root: Path, work: Path
) -> tuple[Path, Path]:
    """Write `lib/<target>/<prefix>_kernels.o` and `lib<prefix>_model.a`.

    Args:
        program: The network.
        target: What to compile for.
        tools: From `find_toolchain`.
        prefix: Begins every global symbol.
        root: Folder of the library, with `include/` and `src/`.
        work: Scratch folder; gets `build.log`.

    Returns:
        The kernels' object, and the static library.

    Raises:
        BuildError: A kernel or a source does not compile.
    """
    folder = root / "lib" / target.name
    folder.mkdir(parents=True)
    kernels = folder / f"{prefix}_kernels.o"
    lower.write_object({s.symbol: s.kernel.func for s in program.steps}, target, kernels)
    # TVM adds half-precision helpers that no kernel calls, and calls every section .text.
    edit = [
        "--strip-debug",
        "--remove-section=*tvm.fp16*",
        "--wildcard",
        f"--keep-global-symbol={prefix}_*",
        f"--rename-section=.text=.text.{prefix}_kernels",
    ]
    _run([tools.objcopy, *edit, str(kernels)], work)
    model = work / f"{prefix}_model.o"
    compile_model = [
        tools.compiler,
        *("-c", "-std=c11", "-O2", "-Wall", "-Wextra", "-Werror", "-ffp-contract=off"),
        *("-ffunction-sections", f"-ffile-prefix-map={root}=.", *tools.flags),
        f'-D{prefix.upper()}_WEIGHTS_SECTION=".rodata.{prefix}_weights"',
        *("-I", str(root / "include"), "-o", str(model), str(root / "src" / "model.c")),
    ]
    _run(compile_model, work)
    library = folder / f"lib{prefix}_model.a"
    _run([tools.archiver, "rcsD", str(library), str(model), str(kernels)], work)
    return kernels, library


def compiler_version(tools: Toolchain, work: Path) -> str:
    """Return the first line of what the compiler says about itself.

    Args:
        tools: From `find_toolchain`.
        work: Scratch folder.
    """
    answer = work / "compiler.txt"
    run_process(
        [tools.compiler, "--version"],
        cwd=work,
        stdout=answer,
        stderr=answer,
        timeout_s=_TIMEOUT_S,
        environment=build_environment(),
    )
    lines = answer.read_text(encoding="utf-8", errors="replace").splitlines()
    return lines[0].strip() if lines else "unknown"


def _run(command: Sequence[str], work: Path) -> None:
    build_log = work / "build.log"
    finished = run_process(
        command,
        cwd=work,
        stdout=build_log,
        stderr=build_log,
        timeout_s=_TIMEOUT_S,
        environment=build_environment(),
    )
    if finished.timed_out or finished.returncode != 0:
        reason = read_tail(build_log, n_lines=5) or f"exit status {finished.returncode}"
        raise BuildError(f"{Path(command[0]).name} failed on the exported library: {reason}")
