"""The files of an exported library."""

from __future__ import annotations

import csv
import json
import logging
import re
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from ecgexp import __version__
from ecgexp.deploy.compiler import settle
from ecgexp.deploy.export.archive import files_of, sha256
from ecgexp.deploy.export.golden import GoldenArrays, golden_arrays
from ecgexp.deploy.export.model_source import ModelSource, with_prefix
from ecgexp.deploy.export.objects import (
    compiler_version,
    core_flags,
    find_toolchain,
    write_objects,
)
from ecgexp.deploy.export.template import render
from ecgexp.deploy.firmware import memory_script
from ecgexp.deploy.importer import import_onnx
from ecgexp.deploy.integer import rewrite
from ecgexp.deploy.kernels.weights import Storage
from ecgexp.deploy.memory import plan_arena
from ecgexp.deploy.object_file import code_bytes
from ecgexp.deploy.program import Program, constant_bytes
from ecgexp.target import Target
from ecgexp.types import Bundle

log = logging.getLogger(__name__)

SCHEMA = 1
# As a deploy stores them unless told otherwise.
_STORAGE = Storage(bit_planes=True, pack_int4=True)
_EXTERN = re.compile(r'call_pure_extern\("float32", "(\w+)"')
_PORTABLE_NOTE = (
    "Plain loops in C11 that run everywhere; on a Cortex-M with kernels of its own, an object "
    "(`export.codegen=object`) takes many times fewer instructions."
)
_LIBRARIES = ("apache-tvm", "numpy", "onnx", "onnxruntime")


def write_files(  # noqa: PLR0913
    bundle: Bundle,
    target: Target,
    *,
    prefix: str,
    is_source: bool,
    n_golden: int,
    allow_float_ops: int,
    profile: Path | None,
    root: Path,
    work: Path,
) -> tuple[dict[str, int], int]:
    """Compile a network and write every file of its library.

    Args:
        bundle: The network and its golden windows.
        target: What to compile for, unless `is_source`.
        prefix: Begins every global symbol.
        is_source: Write portable C instead of objects.
        n_golden: Golden windows wanted.
        allow_float_ops: How many operators of an int8 network may run in float32.
        profile: What each function cost on the target, as a deploy has written it.
        root: Folder to make.
        work: Scratch folder.

    Returns:
        Figures by name, and the number of golden windows.

    Raises:
        BuildError: The network cannot be compiled, or a tool is missing.
    """
    tools = None if is_source else find_toolchain(target)
    versions = _versions()
    network = import_onnx(bundle.onnx)
    isa = "generic" if is_source else target.isa
    program = rewrite(network, isa=isa, allow_float_ops=allow_float_ops, storage=_STORAGE)
    measured = {} if profile is None else measured_costs(profile, program)
    program = with_prefix(program, prefix)
    arena = plan_arena(program)
    if tools is not None:
        settle(program, arena, target, code=0)
    source = ModelSource(
        program=program,
        arena=arena,
        name=bundle.name,
        labels=bundle.spec.labels,
        prefix=prefix,
        input_shape=tuple(int(size) for size in network.input_shape),
    )
    golden = golden_arrays(bundle.golden, program, n_golden)
    figures = {
        "arena_bytes": source.arena_bytes,
        "float_arena_bytes": source.float_arena_bytes,
        "weight_bytes": constant_bytes(program),
        "macs": program.macs,
    }
    _write(root / "include" / prefix / "model.h", source.header())
    _write(root / "src" / "model.c", source.model())
    _write(root / "src" / "kernels.h", source.kernels_header())
    if tools is None:
        _write(root / "src" / "kernels.c", source.kernels())
    else:
        kernels, _ = write_objects(program, target, tools, prefix=prefix, root=root, work=work)
        figures["code_bytes"] = code_bytes(kernels)
        target = settle(program, arena, target, code=figures["code_bytes"])
        versions["compiler"] = compiler_version(tools, work)
    words = _words(source, golden, target, is_source, figures)
    _write_golden(root, words, None if is_source or target.on_host else target)
    _write_project(root, words, is_source)
    _write_metadata(
        root,
        source,
        bundle,
        figures,
        measured=measured,
        versions=versions,
        target=None if is_source else target,
    )
    return figures, len(golden.inputs)


def _words(
    source: ModelSource,
    golden: GoldenArrays,
    target: Target,
    is_source: bool,
    figures: dict[str, int],
) -> dict[str, str]:
    """Return every word of the templates."""
    prefix, capitals = source.prefix, source.prefix.upper()
    functions = _math_functions(source.program)
    is_cross = not is_source and not target.on_host
    needs_libm = bool(functions)
    configure = "cmake -B build"
    if is_cross:
        configure += " -DCMAKE_TOOLCHAIN_FILE=cmake/arm-none-eabi.cmake"
    library = f"lib/{target.name}/lib{prefix}_model.a"
    link = "" if is_source else f"target_link_libraries({prefix}_model INTERFACE m)\n"
    if needs_libm and is_source:
        link = f"target_link_libraries({prefix}_model PUBLIC m)\n"
    if is_source:
        by_hand = (
            "compile `src/*.c` as C11 with `-Iinclude -ffp-contract=off` and without `-ffast-math`."
        )
        rows = (
            f"| weights | `-D{capitals}_WEIGHTS_SECTION='\".dtcm.weights\"'` |\n"
            f"| code | `-D{capitals}_CODE_SECTION='\".itcm.text\"'` |\n"
        )
    else:
        by_hand = f"link `{library}` and add `include` to the include path."
        rows = (
            f"| weights | the linker script: `*(.rodata.{prefix}_weights)`; or compile "
            f"`src/model.c` with `-D{capitals}_WEIGHTS_SECTION=...` "
            f"(CMake: `{capitals}_FROM_SOURCE=ON`) |\n"
            f"| kernels | the linker script: `*(.text.{prefix}_kernels)` |\n"
        )
    files = ["../src/model.c", "../src/kernels.c"] if is_source else [f"../{library}"]
    return {
        **source.words(),
        **golden.words(),
        "version": __version__,
        "target": target.name,
        "cpu": target.cpu,
        "executable": str(target.executable),
        "machine": str(target.machine),
        "flags": " ".join(core_flags(target)),
        "configure": configure,
        "libm": link if needs_libm else "",
        "libm_note": "".join(f", `{function}`" for function in functions),
        "kind_note": _PORTABLE_NOTE if is_source else f"Compiled for {target.cpu}.",
        "by_hand": by_hand,
        "placement_rows": rows,
        "layer_files": "\n".join(f"        - file: {file}" for file in files),
        "cmsis_device": _cmsis_device(target.cpu if is_cross else "cortex-m55"),
        "weight_bytes": str(figures["weight_bytes"]),
        "code_row": f"| kernels' code | {figures['code_bytes']} |\n"
        if "code_bytes" in figures
        else "",
        "emulator_note": _emulator_note(target) if is_cross else "",
    }


def _emulator_note(target: Target) -> str:
    board = "On a board it runs from a debugger with semihosting.\n"
    if target.runner != "qemu":
        silence = f"`ctest` has no emulator for {target.cpu}: the test is built, and not run here."
        return f"\n{silence} {board}"
    return f"\nIt runs on `{target.executable} -machine {target.machine}`. {board}"


def _cmsis_device(cpu: str) -> str:
    """Return the generic device of a core in the pack ARM::Cortex_DFP."""
    return f"ARMCM{cpu.removeprefix('cortex-m').upper()}"


def _math_functions(program: Program) -> list[str]:
    """Return the functions of <math.h> that the kernels call."""
    text = "".join(str(step.kernel.func.script()) for step in program.steps)
    return sorted(set(_EXTERN.findall(text)))


def _write_golden(root: Path, words: dict[str, str], board: Target | None) -> None:
    test = root / "test"
    for name in ("golden_test.c", "golden_data.c", "golden_data.h", "port.h"):
        _write(test / name, render(f"test/{name}", words))
    if board is None:
        _write(test / "port_host.c", render("test/port_host.c", words))
        _write(test / "CMakeLists.txt", render("test/CMakeLists_host.txt", words))
        return
    for name in ("startup.c", "image.ld"):
        _write(test / "cortex_m" / name, render(f"test/cortex_m/{name}", words))
    _write(test / "cortex_m" / "memory.ld", memory_script(board))
    add_test = render("test/emulated_test.cmake", words) if board.runner == "qemu" else ""
    text = render("test/CMakeLists_cortex_m.txt", {**words, "add_test": add_test})
    _write(test / "CMakeLists.txt", text)
    _write(root / "cmake" / "arm-none-eabi.cmake", render("cmake/arm-none-eabi.cmake", words))


def _write_project(root: Path, words: dict[str, str], is_source: bool) -> None:
    prefix, kind = words["prefix"], "c" if is_source else "object"
    for name, template in {
        "README.md": "README.md",
        "CMakeLists.txt": f"CMakeLists_{kind}.txt",
        "zephyr/module.yml": "zephyr/module.yml",
        "zephyr/Kconfig": "zephyr/Kconfig",
        "zephyr/CMakeLists.txt": f"zephyr/CMakeLists_{kind}.txt",
        f"cmsis/{prefix}_model.clayer.yml": "cmsis/model.clayer.yml",
        f"cmsis/{prefix}_golden.cproject.yml": "cmsis/golden.cproject.yml",
        f"cmsis/{prefix}_model.csolution.yml": "cmsis/model.csolution.yml",
    }.items():
        _write(root / name, render(template, words))


def _write_metadata(
    root: Path,
    source: ModelSource,
    bundle: Bundle,
    figures: dict[str, int],
    *,
    measured: Mapping[int, Mapping[str, int]],
    versions: dict[str, str],
    target: Target | None,
) -> None:
    """Write `metadata.json`, last: it has the hash of every other file."""
    program = source.program
    x, y = program.input_qparams, program.output_qparams
    metadata = {
        "schema": SCHEMA,
        "name": bundle.name,
        "prefix": source.prefix,
        "codegen": "c" if target is None else "object",
        "target": None
        if target is None
        else {"name": target.name, "cpu": target.cpu, "flags": list(core_flags(target))},
        "scheme": bundle.scheme,
        "signal": bundle.spec.to_dict(),
        "input": {
            "shape": list(source.input_shape),
            "dtype": program.input.dtype,
            "scale": None if x is None else x.scale,
            "zero_point": None if x is None else x.zero_point,
        },
        "output": {
            "shape": [1, program.output.elements],
            "dtype": program.output.dtype,
            "scale": None if y is None else y.scale,
            "zero_point": None if y is None else y.zero_point,
            "is_probability": program.output_is_probability,
            "labels": list(source.labels),
        },
        **figures,
        "layers": [
            {**_layer(source, index), **measured.get(index, {})}
            for index in range(len(program.steps))
        ],
        "versions": versions,
        "onnx_sha256": sha256(bundle.onnx),
        "files": {path.relative_to(root).as_posix(): sha256(path) for path in files_of(root)},
    }
    _write(root / "metadata.json", json.dumps(metadata, indent=1) + "\n")


def _layer(source: ModelSource, index: int) -> dict[str, Any]:
    step = source.program.steps[index]
    return {
        "symbol": step.symbol,
        "operator": step.origin,
        "macs": step.kernel.macs,
        "weight_bytes": sum(array.nbytes for array in step.kernel.constants),
        "input_bytes": [buffer.n_bytes for buffer in step.inputs],
        "output_bytes": step.output.n_bytes,
        "arena_offset": source.arena.offsets.get(step.output.index),
    }


def measured_costs(profile: Path, program: Program) -> dict[int, dict[str, int]]:
    """Return what each call cost per inference, by its place; nothing for another program.

    Args:
        profile: `profile.csv` of a deploy.
        program: The network, its symbols as a deploy names them.
    """
    with profile.open(newline="", encoding="utf-8") as stream:
        rows = {row["function"]: row for row in csv.DictReader(stream)}
    if not all(step.symbol in rows for step in program.steps):
        log.info("%s is of other kernels: metadata.json goes without measured costs", profile.name)
        return {}
    return {
        index: {
            figure: round(int(row[figure]) / int(row["calls"]))
            for figure in ("instructions", "cycles_est")
            if row[figure]
        }
        for index, step in enumerate(program.steps)
        for row in (rows[step.symbol],)
    }


def _versions() -> dict[str, str]:
    versions = {"ecgexp": __version__}
    for library in _LIBRARIES:
        try:
            versions[library] = version(library)
        except PackageNotFoundError:
            versions[library] = "unknown"
    return versions


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
