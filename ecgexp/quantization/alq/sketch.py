"""Structured sketching: the first bases and coordinates of trained weights."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

ENOUGH = 1e-6
"""Share of a group's energy that may stay unexplained."""


class Code(NamedTuple):
    """Groups of weights as sums of signed planes.

    Attributes:
        bases: -1 or +1 (group, basis, weight), floating.
        coordinates: At least 0 (group, basis); 0 where there is no basis.
        live: Whether there is a basis (group, basis).
    """

    bases: Tensor
    coordinates: Tensor
    live: Tensor

    def weights(self) -> Tensor:
        """Return the sums (group, weight)."""
        return torch.einsum("gi,gin->gn", self.coordinates, self.bases)


def signs(x: Tensor) -> Tensor:
    """Return -1 for negative numbers and +1 for all others."""
    return torch.where(x < 0, -torch.ones_like(x), torch.ones_like(x))


def sketch(weights: Tensor, most_bits: int) -> Code:
    """Explain each group by one sign pattern of its rest after the other.

    All coordinates of a group are the least-squares ones after each new basis. A group has never
    more bases than weights, and none when it is zero.

    Args:
        weights: Groups (group, weight).
        most_bits: Most bases of a group.
    """
    n_groups, size = weights.shape
    n_bases = min(most_bits, size)
    bases = torch.ones(n_groups, n_bases, size, dtype=weights.dtype)
    coordinates = torch.zeros(n_groups, n_bases, dtype=weights.dtype)
    live = torch.zeros(n_groups, n_bases, dtype=torch.bool)
    energy = weights.square().sum(1)
    rest = weights.clone()
    for i in range(n_bases):
        wanting = (rest.square().sum(1) >= ENOUGH * energy) & (energy > 0)
        bases[wanting, i] = signs(rest[wanting])
        live[wanting, i] = True
        so_far = bases[wanting, : i + 1]
        gram = so_far @ so_far.transpose(1, 2)
        seen = torch.einsum("gin,gn->gi", so_far, weights[wanting])
        coordinates[wanting, : i + 1] = torch.linalg.solve(gram, seen)
        rest = weights - torch.einsum("gi,gin->gn", coordinates, bases)
    return tidy(Code(bases, coordinates, live), ascending=True)


def tidy(code: Code, *, ascending: bool = False) -> Code:
    """Make coordinates positive by turning their bases, and drop those that are zero.

    Args:
        code: Any code.
        ascending: Sort the bases of each group by their coordinates, missing ones last.
    """
    turn = signs(code.coordinates)
    live = code.live & (code.coordinates != 0)
    coordinates = torch.where(live, code.coordinates.abs(), torch.zeros_like(code.coordinates))
    turned = code.bases * turn[:, :, None]
    bases = torch.where(live[:, :, None], turned, torch.ones_like(turned))
    if not ascending:
        return Code(bases, coordinates, live)
    key = coordinates.masked_fill(~live, float("inf"))
    order = key.argsort(dim=1, stable=True)
    return Code(
        bases.gather(1, order[:, :, None].expand_as(bases)),
        coordinates.gather(1, order),
        live.gather(1, order),
    )
