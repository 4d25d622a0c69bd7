"""Which step ALQ takes when: phases in epochs, and how fast bases are taken away."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from ecgexp.errors import ConfigError
from ecgexp.quantization.alq.groups import Groups

Phase = Literal["basis", "coordinate", "prune", "master"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Stage:
    """Some epochs of one phase.

    Attributes:
        phase: `basis` and `coordinate` optimise one and keep the other; `prune` takes bases away;
            `master` moves floating weights behind the bases and assigns these anew.
        epochs: How many.
        rate: Learning rate of the first epoch.
        decay: Factor of the learning rate from one epoch to the next.
    """

    phase: Phase
    epochs: int
    rate: float
    decay: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Removal:
    """How bases are taken away.

    Attributes:
        bits: Bases per weight to end with.
        top_k: Share of each layer's bases that are candidates in one batch. It must exceed the
            share taken away in a batch: else the layers' own ranking decides alone, and not the
            one over all layers.
    """

    bits: float
    top_k: float


class Schedule:
    """Phase, learning rate and removals of every optimizer step.

    Args:
        stages: In order.
        removal: How bases are taken away.
        steps_per_epoch: Optimizer steps of an epoch.
        first_bits: Bases per weight before the first step.

    Raises:
        ConfigError: The prune epochs cannot reach the budget.
    """

    def __init__(
        self,
        stages: Sequence[Stage],
        removal: Removal,
        *,
        steps_per_epoch: int,
        first_bits: float,
    ) -> None:
        self._removal = removal
        self._steps_per_epoch = steps_per_epoch
        self._phases = [stage.phase for stage in stages for _ in range(stage.epochs)]
        self._rates = [s.rate * s.decay**epoch for s in stages for epoch in range(s.epochs)]
        self._check(first_bits)

    def _check(self, first_bits: float) -> None:
        budget = self._removal.bits
        batches = self._phases.count("prune") * self._steps_per_epoch
        if first_bits <= budget:
            return
        if not batches:
            raise ConfigError(
                f"quantization.bits={budget:g}: the sketch has {first_bits:.2f} bits per weight "
                "and no epoch takes any away; add a stage with phase=prune, or lower most_bits"
            )
        share = 1 - (budget / first_bits) ** (1 / batches)
        if share >= self._removal.top_k:
            raise ConfigError(
                f"quantization.top_k={self._removal.top_k:g}: from {first_bits:.2f} to {budget:g} "
                f"bits in {batches} batches takes {share:.4f} of all bases per batch, so that "
                f"every candidate would go; use a top_k above {share:.4f}, or more prune epochs"
            )

    @property
    def epochs(self) -> int:
        """Epochs of all stages."""
        return len(self._phases)

    def phase(self, step: int) -> Phase:
        """Return the phase of a step, counted from 0."""
        return self._phases[self._epoch(step)]

    def rate(self, step: int) -> float:
        """Return the learning rate of a step."""
        return self._rates[self._epoch(step)]

    def _epoch(self, step: int) -> int:
        return min(step // self._steps_per_epoch, len(self._phases) - 1)

    def removal(
        self, step: int, scores: Sequence[Tensor], groups: Sequence[Groups]
    ) -> list[Tensor]:
        """Choose the bases to take away in a step of a `prune` phase.

        In every layer the `top_k` smallest scores are candidates; the smallest of all candidates
        go, so many that the same share goes in every batch that is left.

        Args:
            step: Counted from 0.
            scores: Importance (group, basis) of each layer, infinite where there is no basis.
            groups: The layers.

        Returns:
            What to take away (group, basis), for each layer.
        """
        left = self._prune_steps_left(step)
        bits = average_bits(groups)
        n_weights = sum(layer.layout.n_weights for layer in groups)
        wanted = bits * (1 - min(1.0, self._removal.bits / bits) ** (1 / left)) * n_weights
        flat = [score.flatten() for score in scores]
        chosen = [
            values.argsort(stable=True)[: self._n_candidates(layer, last=left == 1)]
            for values, layer in zip(flat, groups, strict=True)
        ]
        owner = torch.cat([torch.full_like(c, index) for index, c in enumerate(chosen)])
        place = torch.cat(chosen)
        # The value of a candidate is read where its index points to, in the array it was ranked in.
        value = torch.cat([values[c] for values, c in zip(flat, chosen, strict=True)])
        sizes = torch.tensor([layer.layout.group_size for layer in groups])[owner]
        order = value.argsort(stable=True)
        before = sizes[order].cumsum(0) - sizes[order]
        luck = 0.0 if left == 1 else float(torch.rand(()))
        gone = order[before + luck * sizes[order] < wanted - 1e-6]
        masks = [torch.zeros_like(values, dtype=torch.bool) for values in flat]
        for index, mask in enumerate(masks):
            mask[place[gone[owner[gone] == index]]] = True
        return [mask.view_as(score) for mask, score in zip(masks, scores, strict=True)]

    def _n_candidates(self, layer: Groups, *, last: bool) -> int:
        live = int(layer.live.sum())
        return live if last else min(live, int(self._removal.top_k * live + float(torch.rand(()))))

    def _prune_steps_left(self, step: int) -> int:
        epoch = self._epoch(step)
        later = self._phases[epoch + 1 :].count("prune") * self._steps_per_epoch
        return later + self._steps_per_epoch - step % self._steps_per_epoch


def average_bits(groups: Sequence[Groups]) -> float:
    """Return the bits of all bases per weight."""
    planes = sum(int(layer.live.sum()) * layer.layout.group_size for layer in groups)
    return planes / sum(layer.layout.n_weights for layer in groups)
