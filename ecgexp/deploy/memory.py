"""Plan one arena over the lifetimes of tensors."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from ecgexp.deploy.program import Program

ALIGNMENT = 16
TOLERATED_EXCESS = 1.05


@dataclass(frozen=True, kw_only=True, slots=True)
class Interval:
    """A piece of memory that is needed for a while.

    Attributes:
        n_bytes: Size.
        first: Step that writes it.
        last: Last step that reads it.
    """

    n_bytes: int
    first: int
    last: int

    def meets(self, other: Interval) -> bool:
        """Whether both are alive in some step."""
        return self.first <= other.last and other.first <= self.last


@dataclass(frozen=True, kw_only=True, slots=True)
class Arena:
    """Where each buffer of a program lies.

    Attributes:
        offsets: Buffer index to byte offset; input and output of the network are not in it.
        n_bytes: Size of the arena.
        lower_bound: Bytes alive at once at least; no plan can be smaller.
        excess: Why it is over 5 % larger than that; empty where it is not.
    """

    offsets: dict[int, int]
    n_bytes: int
    lower_bound: int
    excess: str


def plan_arena(program: Program, *, seed: int = 0, rounds: int = 200) -> Arena:
    """Give every intermediate buffer a place.

    Args:
        program: The network.
        seed: Of the search order; one seed gives one plan.
        rounds: Improvements to try while the plan is larger than the lower bound.
    """
    owner, intervals = _lifetimes(program)
    offsets = place(intervals, seed=seed, rounds=rounds)
    sizes = [o + interval.n_bytes for o, interval in zip(offsets, intervals, strict=True)]
    return Arena(
        offsets={index: offsets[slot] for index, slot in owner.items()},
        n_bytes=_aligned(max(sizes, default=0)),
        lower_bound=live_bytes(intervals),
        excess=explain_excess(intervals, offsets, [step.origin for step in program.steps]),
    )


def place(intervals: Sequence[Interval], *, seed: int, rounds: int) -> list[int]:
    """Pack intervals without overlap of live ones: first fit, then hill climbing on the order.

    Args:
        intervals: What to place.
        seed: Of the search.
        rounds: Swaps to try.

    Returns:
        One byte offset per interval, each a multiple of `ALIGNMENT`.
    """
    order = sorted(range(len(intervals)), key=lambda i: (-intervals[i].n_bytes, intervals[i].first))
    best = _first_fit(intervals, order)
    bound = live_bytes(intervals)
    generator = random.Random(seed)
    for _ in range(rounds if len(order) > 1 else 0):
        if _peak(intervals, best) <= bound:
            break
        i, j = generator.sample(range(len(order)), 2)
        order[i], order[j] = order[j], order[i]
        trial = _first_fit(intervals, order)
        if _peak(intervals, trial) <= _peak(intervals, best):
            best = trial
        else:
            order[i], order[j] = order[j], order[i]
    return best


def live_bytes(intervals: Sequence[Interval]) -> int:
    """Return the most bytes that are alive at once, each tensor rounded up to the alignment."""
    steps = {interval.first for interval in intervals}
    return max(
        (
            sum(_aligned(i.n_bytes) for i in intervals if i.first <= step <= i.last)
            for step in steps
        ),
        default=0,
    )


def explain_excess(
    intervals: Sequence[Interval], offsets: Sequence[int], origins: Sequence[str]
) -> str:
    """Say which tensor makes a plan larger than the bytes alive at once, and by how much.

    Args:
        intervals: What was placed.
        offsets: Where.
        origins: What each step stands for.

    Returns:
        A sentence, or nothing for a plan within 5 % of the lower bound.
    """
    bound, peak = live_bytes(intervals), _peak(intervals, offsets)
    if peak <= TOLERATED_EXCESS * bound:
        return ""
    ends = [o + _aligned(i.n_bytes) for o, i in zip(offsets, intervals, strict=True)]
    top = intervals[ends.index(peak)]
    alive = (
        sum(_aligned(i.n_bytes) for i in intervals if i.first <= step <= i.last)
        for step in range(top.first, top.last + 1)
    )
    gaps = peak - max(alive)
    return (
        f"no order tried packs {len(intervals)} tensors tighter: the {top.n_bytes} bytes of step "
        f"{top.first} ({origins[top.first]}), needed until step {top.last}, lie on top of gaps of "
        f"{gaps} bytes between tensors of other lifetimes"
    )


def _lifetimes(program: Program) -> tuple[dict[int, int], list[Interval]]:
    """Return the interval of every buffer; a buffer computed in place shares its operand's."""
    outside = {program.input.index, program.output.index}
    last_read: dict[int, int] = {}
    for number, step in enumerate(program.steps):
        for buffer in step.inputs:
            last_read[buffer.index] = number
    owner: dict[int, int] = {}
    intervals: list[Interval] = []
    for number, step in enumerate(program.steps):
        out = step.output
        if out.index in outside:
            continue
        last = last_read.get(out.index, number)
        head = step.inputs[0] if step.inputs else None
        slot = owner.get(head.index) if head is not None else None
        if (
            step.kernel.in_place
            and slot is not None
            and head is not None
            and last_read[head.index] == number
            and intervals[slot].last == number
            and intervals[slot].n_bytes >= out.n_bytes
        ):
            held = intervals[slot]
            intervals[slot] = Interval(n_bytes=held.n_bytes, first=held.first, last=last)
            owner[out.index] = slot
        else:
            owner[out.index] = len(intervals)
            intervals.append(Interval(n_bytes=out.n_bytes, first=number, last=last))
    return owner, intervals


def _first_fit(intervals: Sequence[Interval], order: Sequence[int]) -> list[int]:
    offsets = [0] * len(intervals)
    placed: list[int] = []
    for index in order:
        taken = sorted(
            (offsets[other], offsets[other] + _aligned(intervals[other].n_bytes))
            for other in placed
            if intervals[other].meets(intervals[index])
        )
        offset = 0
        for start, end in taken:
            if offset + intervals[index].n_bytes <= start:
                break
            offset = max(offset, end)
        offsets[index] = offset
        placed.append(index)
    return offsets


def _peak(intervals: Sequence[Interval], offsets: Sequence[int]) -> int:
    return max(
        (o + _aligned(i.n_bytes) for o, i in zip(offsets, intervals, strict=True)), default=0
    )


def _aligned(n_bytes: int) -> int:
    return -(-n_bytes // ALIGNMENT) * ALIGNMENT
