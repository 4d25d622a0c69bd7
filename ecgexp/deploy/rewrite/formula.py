"""Turn chains of scalar functions of float32 tensors into kernels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ecgexp.deploy.graph import Op
from ecgexp.deploy.kernels import Kernel, binary, unary
from ecgexp.deploy.program import Buffer
from ecgexp.deploy.rewrite.value import Stage

if TYPE_CHECKING:
    from ecgexp.deploy.rewrite.materialise import Materialiser

_SIMPLE = ("relu", "clip", "sigmoid", "tanh", "leaky_relu", "gelu")
_HALF_ROOT = float(np.float32(0.5**0.5))

# Left: stages as an ONNX export spells them. Right: the kernel that computes them in one pass.
_IDIOMS: tuple[tuple[tuple[Stage, ...], Stage], ...] = (
    ((Stage(kind="sigmoid"), Stage(kind="times_base")), Stage(kind="silu")),
    (
        (
            Stage(kind="scale", alpha=1 / 6),
            Stage(kind="offset", alpha=0.5),
            Stage(kind="clip", alpha=0.0, beta=1.0),
            Stage(kind="times_base"),
        ),
        Stage(kind="hard_swish"),
    ),
    (
        (
            Stage(kind="scale", alpha=_HALF_ROOT),
            Stage(kind="erf"),
            Stage(kind="offset", alpha=1.0),
            Stage(kind="scale", alpha=0.5),
            Stage(kind="times_base"),
        ),
        Stage(kind="gelu"),
    ),
    (
        (
            Stage(kind="scale", alpha=_HALF_ROOT),
            Stage(kind="erf"),
            Stage(kind="offset", alpha=1.0),
            Stage(kind="times_base"),
            Stage(kind="scale", alpha=0.5),
        ),
        Stage(kind="gelu"),
    ),
)


def append(formula: tuple[Stage, ...], stage: Stage) -> tuple[Stage, ...]:
    """Return a formula with one more function; successive clips become one."""
    if stage.kind == "clip" and formula and formula[-1].kind == "clip":
        last = formula[-1]
        low, high = max(last.alpha, stage.alpha), min(last.beta, stage.beta)
        return (*formula[:-1], Stage(kind="clip", alpha=low, beta=max(low, high)))
    return (*formula, stage)


def compute_formula(
    materialiser: Materialiser, op: Op, base: Buffer, formula: tuple[Stage, ...]
) -> Buffer:
    """Emit the kernels of a formula and return the buffer with its result.

    Raises:
        BuildError: A function has no kernel.
    """
    for idiom, stage in _IDIOMS:
        if _matches(formula[: len(idiom)], idiom):
            formula = (stage, *formula[len(idiom) :])
    current = base
    rest = list(formula)
    while rest:
        kernel, used = _next_kernel(materialiser, op, base, rest)
        out = materialiser.output(base.elements, "float32")
        inputs = (current, base) if rest[0].kind == "times_base" else (current,)
        materialiser.program.call(kernel, inputs, out, op.origin or op.name)
        current = out
        del rest[:used]
    return current


def _next_kernel(
    materialiser: Materialiser, op: Op, base: Buffer, rest: Sequence[Stage]
) -> tuple[Kernel, int]:
    """Return the kernel of the first stages and how many it covers."""
    n, isa = base.elements, materialiser.isa
    first = rest[0]
    kinds = tuple(stage.kind for stage in rest[:3])
    if kinds == ("scale", "offset", "clip") and (rest[2].alpha, rest[2].beta) == (0.0, 1.0):
        alpha, beta = first.alpha, rest[1].alpha
        return unary.build(isa=isa, n=n, op="hard_sigmoid", alpha=alpha, beta=beta), 3
    if first.kind in (*_SIMPLE, "silu", "hard_swish"):
        limit = float(np.finfo(np.float32).max)
        alpha, beta = np.clip([first.alpha, first.beta], -limit, limit).tolist()
        return unary.build(isa=isa, n=n, op=first.kind, alpha=alpha, beta=beta), 1  # type: ignore[arg-type]
    if first.kind not in ("scale", "offset", "times_base"):
        raise op.fail(f"{first.kind} has no float kernel by itself")
    kernel = binary.build(
        isa=isa,
        op="add" if first.kind == "offset" else "mul",
        length=n,
        channels=1,
        broadcast="none" if first.kind == "times_base" else "scalar",
        a=None,
        b=None,
        y=None,
        clamp=None,
    )
    if first.kind == "times_base":
        return kernel, 1
    number = np.array([first.alpha], np.float32)
    return replace(kernel, constants=(number, *kernel.constants)), 1


def _matches(formula: Sequence[Stage], idiom: Sequence[Stage]) -> bool:
    return len(formula) == len(idiom) and all(
        a.kind == b.kind and np.allclose((a.alpha, a.beta), (b.alpha, b.beta), rtol=1e-6)
        for a, b in zip(formula, idiom, strict=True)
    )
