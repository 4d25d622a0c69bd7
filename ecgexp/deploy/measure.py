"""What single kernels cost on the emulator: many of them in one image."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock

import numpy as np

from ecgexp.deploy import firmware
from ecgexp.deploy.emit import ModelLibrary, write_library
from ecgexp.deploy.kernels import Kernel, table
from ecgexp.deploy.memory import plan_arena
from ecgexp.deploy.program import Program, ProgramBuilder, Step, constant_bytes
from ecgexp.deploy.runner import RunLog, runner_for
from ecgexp.errors import RunnerError
from ecgexp.target import Target

_LABELS = ("none",)
# TVM's compiler keeps state of its own; everything around it runs in parallel.
_COMPILER = Lock()


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """A schedule of a layer.

    Attributes:
        layer: The layer's name.
        schedule: The schedule's name.
        build: Builds its kernel.
        step: The call whose buffers it works on.
    """

    layer: str
    schedule: str
    build: Callable[[], Kernel]
    step: Step


@dataclass(frozen=True, kw_only=True, slots=True)
class Cost:
    """The cost of one call.

    Attributes:
        instructions: Executed instructions.
        cycles_est: Cycles of the beat model.
    """

    instructions: int
    cycles_est: int


def run(
    candidates: Sequence[Candidate],
    target: Target,
    *,
    timeout_s: float,
    folder: Path,
    cache_folder: Path,
) -> list[Cost]:
    """Build an image that calls every candidate once, run it, and return their costs in order.

    Args:
        candidates: What to measure.
        target: An emulated target whose cycles can be estimated.
        timeout_s: Wall-clock limit of the run in seconds.
        folder: For files on the way; removed afterwards.
        cache_folder: Keeps the emulator's plugin.

    Raises:
        BuildError: A kernel or the image cannot be built.
        RunnerError: The image did not run to its end.
    """
    try:
        with _COMPILER:
            program = _program(candidates)
            library = _library(program, target, folder / "library")
        placed = target.settle(
            weight_bytes=constant_bytes(program),
            arena_bytes=library.arena_bytes + program.input.n_bytes,
            code_bytes=sum(path.stat().st_size for path in library.objects),
        )
        inputs = np.zeros((1, program.input.elements), np.int8)
        image = firmware.build(library.folder, inputs, placed, folder / "firmware")
        run_log = runner_for(placed)(
            image, placed, timeout_s=timeout_s, folder=folder / "run", cache_folder=cache_folder
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return _costs(program.steps[: len(candidates)], run_log)


def _program(candidates: Sequence[Candidate]) -> Program:
    """Call every kernel on the network's input; what is computed never matters for the cost.

    Constants are zeros, so that schedules share those of one size.
    """
    builder = ProgramBuilder()
    elements = max(buffer.elements for c in candidates for buffer in c.step.inputs)
    source, sink = builder.buffer(elements, "int8"), builder.buffer(1, "int8")
    for candidate in candidates:
        kernel = candidate.build()
        kernel = replace(kernel, constants=tuple(np.zeros_like(c) for c in kernel.constants))
        output = builder.buffer(candidate.step.output.elements, "int8")
        inputs = (source,) * len(candidate.step.inputs)
        builder.call(kernel, inputs, output, candidate.layer)
    # The firmware wants an answer.
    answer = table.build(isa="generic", n=1, table=np.zeros(256, np.int8))
    builder.call(answer, (source,), sink, "answer")
    return Program(
        input=source,
        output=sink,
        steps=tuple(builder.steps),
        input_qparams=None,
        output_qparams=None,
        output_is_probability=False,
        float_ops=(),
        quantized=True,
    )


def _library(program: Program, target: Target, folder: Path) -> ModelLibrary:
    return write_library(
        program, plan_arena(program), name="schedules", labels=_LABELS, target=target, folder=folder
    )


def _costs(steps: Sequence[Step], run_log: RunLog) -> list[Cost]:
    profile = {cost.function: cost for cost in run_log.profile}
    calls: dict[str, int] = {}
    for step in steps:
        calls[step.symbol] = calls.get(step.symbol, 0) + 1
    costs = []
    for step in steps:
        found = profile.get(step.symbol)
        if found is None or found.cycles_est is None:
            raise RunnerError(f"the emulator counted nothing in {step.symbol}: {run_log.raw_log}")
        n_calls = calls[step.symbol]
        costs.append(
            Cost(
                instructions=round(found.instructions / n_calls),
                cycles_est=round(found.cycles_est / n_calls),
            )
        )
    return costs
