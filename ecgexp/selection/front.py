"""The Pareto front."""

from __future__ import annotations

from collections.abc import Sequence

Costs = tuple[float, ...]


def pareto_front(costs: Sequence[Costs | None]) -> list[bool]:
    """Mark the rows that no other row beats.

    One row beats another when it is nowhere worse and somewhere better; equal rows stay both.

    Args:
        costs: One tuple of values to minimise per row; None is never on the front.
    """
    # Whoever beats a row stands before it in lexicographic order, and on the front himself or
    # beaten by one who is: a row need only be held against the front so far.
    front: list[Costs] = []
    for candidate in sorted({cost for cost in costs if cost is not None}):
        if not any(_dominates(other, candidate) for other in front):
            front.append(candidate)
    members = set(front)
    return [cost in members for cost in costs]


def _dominates(first: Costs, second: Costs) -> bool:
    return first != second and all(a <= b for a, b in zip(first, second, strict=True))
