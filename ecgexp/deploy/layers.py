"""What each layer of a network cost on the target."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from ecgexp.deploy.program import Program, Step
from ecgexp.deploy.runner import FunctionCost

log = logging.getLogger(__name__)

MACS_PER_INSTRUCTION = 16
ENTRY = "entry"
_SHAPE = re.compile(r"_(?:int8|int4|float32)_|_[nlr]\d")
_FUSED = re.compile(r"_max\d+$")
_TOLD = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class Layer:
    """The cost of one kernel call in one inference.

    Attributes:
        layer: The operators of the ONNX file, or the function where it stands for none.
        operator: Kind of kernel.
        macs: Multiply-accumulates.
        instructions: Executed instructions, a mean over the inferences.
        cycles_est: Estimated cycles, likewise; None where no model describes the core.
        weight_bytes: Constants that it reads.
        output_bytes: Tensor that it writes.
    """

    layer: str
    operator: str
    macs: int
    instructions: float
    cycles_est: float | None
    weight_bytes: int
    output_bytes: int

    @property
    def instructions_per_mac(self) -> float | None:
        """Instructions per multiply-accumulate; None without one."""
        return self.instructions / self.macs if self.macs else None

    @property
    def floor(self) -> float:
        """Instructions of the dot products alone, 16 int8 products each."""
        return self.macs / MACS_PER_INSTRUCTION


def layers_of(
    program: Program, profile: Sequence[FunctionCost], n_windows: int
) -> tuple[Layer, ...]:
    """Give every kernel call its share; what no call explains gets rows of its own.

    Calls of one function have one shape, so that they share its cost in equal parts. The sum over
    the rows is the whole of the profile.

    Args:
        program: The network.
        profile: Cost per function over all inferences.
        n_windows: Inferences.
    """
    costs = {cost.function: cost for cost in profile}
    calls: dict[str, int] = {}
    for step in program.steps:
        calls[step.symbol] = calls.get(step.symbol, 0) + 1
    rows = [
        _row(step, costs[step.symbol], calls[step.symbol] * n_windows)
        for step in program.steps
        if step.symbol in costs
    ]
    rest = [cost for cost in profile if cost.function not in calls]
    return (*rows, *(_entry(cost, n_windows) for cost in rest))


def by_operator(layers: Iterable[Layer]) -> tuple[Layer, ...]:
    """Sum layers of one kind, the most expensive first."""
    groups: dict[str, list[Layer]] = {}
    for layer in layers:
        groups.setdefault(layer.operator, []).append(layer)
    sums = [_sum(operator, members) for operator, members in groups.items()]
    return tuple(sorted(sums, key=lambda total: (-total.instructions, total.operator)))


def tell(layers: Sequence[Layer]) -> None:
    """Log the operators that cost most."""
    total = sum(layer.instructions for layer in layers)
    shares = [
        f"{layer.operator} {100 * layer.instructions / total:.1f} %"
        for layer in by_operator(layers)[:_TOLD]
    ]
    log.info("instructions by operator: %s", ", ".join(shares))


def operator_name(kernel: str) -> str:
    """Return the kind of a kernel, its shape left out, from its name."""
    kind = _SHAPE.split(kernel)[0]
    return f"{kind} + max_pool" if _FUSED.search(kernel) else kind


def _row(step: Step, cost: FunctionCost, parts: int) -> Layer:
    return Layer(
        layer=step.origin.replace("ONNX ", ""),
        operator=operator_name(step.kernel.name),
        macs=step.kernel.macs,
        instructions=float(Fraction(cost.instructions, parts)),
        cycles_est=_share(cost.cycles_est, parts),
        weight_bytes=sum(array.nbytes for array in step.kernel.constants),
        output_bytes=step.output.n_bytes,
    )


def _entry(cost: FunctionCost, n_windows: int) -> Layer:
    return Layer(
        layer=cost.function,
        operator=ENTRY,
        macs=0,
        instructions=float(Fraction(cost.instructions, n_windows)),
        cycles_est=_share(cost.cycles_est, n_windows),
        weight_bytes=0,
        output_bytes=0,
    )


def _share(count: int | None, parts: int) -> float | None:
    return None if count is None else float(Fraction(count, parts))


def _sum(operator: str, members: Sequence[Layer]) -> Layer:
    cycles = [member.cycles_est for member in members if member.cycles_est is not None]
    return Layer(
        layer=f"{len(members)} layers" if len(members) > 1 else members[0].layer,
        operator=operator,
        macs=sum(member.macs for member in members),
        instructions=sum(member.instructions for member in members),
        cycles_est=sum(cycles) if len(cycles) == len(members) else None,
        weight_bytes=sum(member.weight_bytes for member in members),
        output_bytes=sum(member.output_bytes for member in members),
    )
