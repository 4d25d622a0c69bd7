"""The steps of ALQ on one layer: pure functions of codes, gradients' moments and targets.

Notation of Qu et al., "Adaptive Loss-aware Quantization for Multi-bit Networks" (CVPR 2020): the
loss around the quantized weights is modelled by a pseudo gradient p and a diagonal pseudo Hessian
H, both out of AMSGrad's moments.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ecgexp.quantization.alq.sketch import Code, tidy

BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-8
DELTA = 1e-6
"""What keeps the matrix of a refresh invertible when two bases of a group are alike."""


@dataclass(slots=True)
class Moments:
    """AMSGrad's running moments of a gradient.

    Attributes:
        mean: First moment.
        square: Second moment.
        largest: Largest second moment so far.
    """

    mean: Tensor
    square: Tensor
    largest: Tensor

    @classmethod
    def zeros(cls, like: Tensor) -> Moments:
        """Return the moments before the first gradient."""
        return cls(torch.zeros_like(like), torch.zeros_like(like), torch.zeros_like(like))

    def update(self, gradient: Tensor) -> None:
        """Take in the gradient of a batch."""
        self.mean.lerp_(gradient, 1 - BETA_1)
        self.square.mul_(BETA_2).addcmul_(gradient, gradient, value=1 - BETA_2)
        torch.maximum(self.largest, self.square, out=self.largest)

    def gradient(self, rate: float, step: int) -> Tensor:
        """Return the pseudo gradient p after `step` batches, times the learning rate."""
        return self.mean * (rate / (1 - BETA_1**step))

    def hessian(self, step: int) -> Tensor:
        """Return the diagonal pseudo Hessian H after `step` batches."""
        return (self.largest.sqrt() + EPSILON) / float((1 - BETA_2**step) ** 0.5)

    def projected(self, bases: Tensor) -> Moments:
        """Return the moments of the coordinates of `bases` out of those of the weights."""
        many = bases.shape[1]
        return Moments(
            torch.einsum("gin,gn->gi", bases, self.mean),
            self.square.sum(1, keepdim=True).repeat(1, many),
            self.largest.sum(1, keepdim=True).repeat(1, many),
        )


def importance(code: Code, gradient: Tensor, hessian: Tensor) -> Tensor:
    """Return the modelled increase of the loss when a coordinate becomes zero.

    Args:
        code: The layer.
        gradient: Pseudo gradient of the coordinates (group, basis).
        hessian: Their pseudo Hessian (group, basis).

    Returns:
        (group, basis); infinite where there is no basis.
    """
    alpha = code.coordinates
    rise = -gradient * alpha + 0.5 * hessian * alpha.square()
    return rise.masked_fill(~code.live, float("inf"))


def assign(code: Code, target: Tensor) -> Code:
    """Choose for each weight the signs whose sum is nearest to its target.

    Args:
        code: Coordinates to keep; its bases are replaced.
        target: Groups (group, weight).
    """
    n_bases = code.coordinates.shape[1]
    index = torch.arange(2**n_bases)
    patterns = 1 - 2 * ((index[:, None] >> torch.arange(n_bases)) & 1).to(target.dtype)
    levels, order = (code.coordinates @ patterns.T).sort(dim=1, stable=True)
    between = (levels[:, 1:] + levels[:, :-1]) / 2
    nearest = torch.searchsorted(between, target.contiguous())
    bases = patterns[order.gather(1, nearest)].transpose(1, 2)
    bases = torch.where(code.live[:, :, None], bases, torch.ones_like(bases))
    return Code(bases.contiguous(), code.coordinates, code.live)


def refresh(code: Code, target: Tensor, hessian: Tensor) -> Code:
    """Give the bases the coordinates that are best for a target under the model.

    Args:
        code: Bases to keep up to their sign.
        target: Groups (group, weight).
        hessian: Weight of each squared distance (group, weight), positive.
    """
    bases = code.bases * code.live[:, :, None]
    weighted = bases * hessian[:, None, :]
    extra = torch.where(code.live, DELTA, 1.0).to(target.dtype)
    matrix = weighted @ bases.transpose(1, 2) + torch.diag_embed(extra)
    seen = torch.einsum("gin,gn->gi", weighted, target)
    return tidy(Code(code.bases, torch.linalg.solve(matrix, seen), code.live))


def step_coordinates(code: Code, gradient: Tensor, hessian: Tensor) -> Code:
    """Take one AMSGrad step of the coordinates (group, basis), the bases up to their sign kept."""
    moved = code.coordinates - gradient / hessian
    return tidy(Code(code.bases, moved * code.live, code.live))


def prune(code: Code, removed: Tensor) -> Code:
    """Take bases away where `removed` (group, basis) says so."""
    live = code.live & ~removed
    zeros = torch.zeros_like(code.coordinates)
    ones = torch.ones_like(code.bases)
    return Code(
        torch.where(live[:, :, None], code.bases, ones),
        torch.where(live, code.coordinates, zeros),
        live,
    )
