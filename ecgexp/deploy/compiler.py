"""From an ONNX file to a model library for a target."""

from __future__ import annotations

import logging
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from ecgexp.deploy.emit import ModelLibrary, write_library
from ecgexp.deploy.graph import element_count
from ecgexp.deploy.importer import import_onnx
from ecgexp.deploy.integer import rewrite
from ecgexp.deploy.kernels.weights import BYTES, Storage
from ecgexp.deploy.memory import Arena, plan_arena
from ecgexp.deploy.object_file import code_bytes
from ecgexp.deploy.program import Program, constant_bytes
from ecgexp.deploy.tune import Tuner
from ecgexp.errors import BuildError
from ecgexp.target import Target

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Compiled:
    """A compiled network.

    Attributes:
        program: Its kernel calls.
        arena: Where its buffers lie.
        library: The files to link.
        target: What it was compiled for, with one memory region for each kind of content.
    """

    program: Program
    arena: Arena
    library: ModelLibrary
    target: Target


def compile_network(
    onnx: Path,
    *,
    name: str,
    labels: tuple[str, ...],
    target: Target,
    allow_float_ops: int,
    folder: Path,
    storage: Storage = BYTES,
    tuner: Tuner | None = None,
) -> Compiled:
    """Compile a network; the folder appears only when the library is complete.

    Args:
        onnx: Classifier, float or in QDQ form.
        name: For the firmware's banner.
        labels: Class names in output order.
        target: What to compile for.
        allow_float_ops: How many operators of an int8 network may run in float32.
        folder: Gets the model library; one that is there is replaced.
        storage: How weights may lie in flash.
        tuner: Chooses schedules by measurement; without one the kernels' cost rules do.

    Raises:
        BuildError: The network cannot be compiled, or does not fit the target.
    """
    started = time.perf_counter()
    network = import_onnx(onnx)
    if element_count(network.output_shape) != len(labels):
        raise BuildError(
            f"{onnx}: the output {network.output_shape} does not fit {len(labels)} labels {labels}"
        )
    program = rewrite(
        network,
        isa=target.isa,
        allow_float_ops=allow_float_ops,
        storage=storage,
    )
    if tuner is not None:
        program = tuner.tune(program, folder.parent)
    arena = plan_arena(program)
    settle(program, arena, target, code=0)
    aside = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(aside, ignore_errors=True)
    try:
        library = write_library(
            program, arena, name=name, labels=labels, target=target, folder=aside
        )
        code = sum(code_bytes(path) for path in library.objects)
        settled = settle(program, arena, target, code=code)
        shutil.rmtree(folder, ignore_errors=True)
        aside.rename(folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    log.info(
        "compiled %s for %s in %.1f s: %d kernels, %d MACs, weights %d, code %d, arena %d bytes "
        "(%d alive at once)",
        name,
        target.name,
        time.perf_counter() - started,
        len(program.steps),
        program.macs,
        library.weight_bytes,
        code,
        arena.n_bytes,
        arena.lower_bound,
    )
    if arena.excess:
        log.info(
            "the arena is %.0f %% larger than what is alive at once: %s",
            100 * (arena.n_bytes / arena.lower_bound - 1),
            arena.excess,
        )
    return Compiled(program=program, arena=arena, library=library.moved(folder), target=settled)


def settle(program: Program, arena: Arena, target: Target, *, code: int) -> Target:
    """Check that a network fits, and give each kind of content one memory region.

    Args:
        program: The network.
        arena: Places of its buffers.
        target: What to compile for.
        code: Bytes of compiled kernels; 0 before lowering.

    Raises:
        BuildError: Some region is too small.
    """
    sizes = {
        "weight_bytes": constant_bytes(program),
        "arena_bytes": arena.n_bytes + program.input.n_bytes + program.output.n_bytes,
        "code_bytes": code,
    }
    target.require_fit(**sizes)
    return target.settle(**sizes)
