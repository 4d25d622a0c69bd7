"""Losses with class weights: what a network is asked to become good at."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from ecgexp.errors import ConfigError
from ecgexp.training import metric_names as names
from ecgexp.training.metrics import answers_of, measured
from ecgexp.types import SignalSpec

_POLICIES = {"none": 0.0, "balanced": 1.0}


def weights_per_class(class_counts: Sequence[int], policy: str | float) -> Tensor:
    """Return one weight per class, proportional to a power of its rarity.

    Args:
        class_counts: Windows per class in the training split.
        policy: `none`, `balanced` (weight 1/count), or a number p for weight count**-p.

    Returns:
        Weights (class,) float32 whose mean over the training windows is 1, so that the learning
        rate keeps its meaning under every policy.

    Raises:
        ConfigError: The policy is unknown, or a class to be weighted has no window.
    """
    counts = np.asarray(class_counts, dtype=np.float64)
    power = _power(policy)
    if power and not counts.all():
        missing = [str(index) for index in np.flatnonzero(counts == 0)]
        raise ConfigError(
            f"objective.class_weights: {policy!r} needs a training window of every class; there is "
            f"none of class index {', '.join(missing)}; use class_weights=none or another split"
        )
    raw = counts**-power if power else np.ones_like(counts)
    return torch.tensor(raw * counts.sum() / (raw * counts).sum(), dtype=torch.float32)


def _power(policy: str | float) -> float:
    if isinstance(policy, str):
        if policy in _POLICIES:
            return _POLICIES[policy]
    elif isinstance(policy, int | float) and not isinstance(policy, bool) and 0 <= policy <= 2:
        return float(policy)
    raise ConfigError(
        f"objective.class_weights: {policy!r} is not a policy; use none, balanced, or a number "
        "p in 0..2 for weights proportional to count**-p"
    )


def _check_range(key: str, value: float, low: float, high: float) -> float:
    if not low <= value <= high:
        raise ConfigError(f"objective.{key}: {value!r} is out of range; use {low:g}..{high:g}")
    return float(value)


class Objective(nn.Module):
    """A loss and the measures that go with it.

    The loss is the plain mean of weighted losses per window, so that a batch that happens to hold
    a rare class pulls harder instead of being normalised away.

    Args:
        spec: Names the classes.
        class_counts: Windows per class in the training split.
        class_weights: Policy, see `weights_per_class`.
        f1_labels: Classes whose mean F1 is logged as `f1_selected`, for example N, A and O of the
            Challenge 2017; None logs none.

    Raises:
        ConfigError: A class is unknown, or the loss is not for windows of these data.

    Attributes:
        several: Whether the loss is for windows that can have several classes at once.
        threshold: Probability from which such a class is named; None where the likeliest is.
    """

    several: ClassVar[bool] = False
    threshold: float | None = None
    weight: Tensor

    def __init__(
        self,
        *,
        spec: SignalSpec,
        class_counts: Sequence[int],
        class_weights: str | float,
        f1_labels: Sequence[str] | None,
    ) -> None:
        super().__init__()
        if spec.several != self.several:
            what = "can have several of" if spec.several else "have exactly one of"
            remedy = "multilabel" if spec.several else "cross_entropy"
            raise ConfigError(
                f"objective: {type(self).__name__} is not for windows that {what} the classes "
                f"{', '.join(spec.labels)}; use objective={remedy}, or another dataset.task"
            )
        unknown = sorted(set(f1_labels or ()) - set(spec.labels))
        if unknown or f1_labels == []:
            raise ConfigError(
                f"objective.f1_labels: {list(f1_labels or ())} names {unknown or 'no class'}; "
                f"use null or classes out of {', '.join(spec.labels)}"
            )
        self.f1_labels = f1_labels
        if len(class_counts) != spec.n_classes:
            raise ConfigError(
                f"objective: {len(class_counts)} class counts for {spec.n_classes} labels"
            )
        self.labels = spec.labels
        self.register_buffer(
            "weight", weights_per_class(class_counts, class_weights), persistent=False
        )

    def forward(self, logits: Tensor, y: Tensor) -> Tensor:
        """Return the mean loss ().

        Args:
            logits: (batch, class).
            y: Classes (batch,) int64; or how much of each class is in a mixed window
                (batch, class) float32, whose loss is the mean over its classes.
        """
        if y.ndim == 1:
            return self.losses(logits, y).mean()
        every = torch.arange(y.shape[1], device=y.device)
        of_class = [self.losses(logits, label.expand(len(y))) for label in every]
        return (y * torch.stack(of_class, dim=1)).sum(dim=1).mean()

    def losses(self, logits: Tensor, y: Tensor) -> Tensor:
        """Return the weighted loss of each window, (batch,)."""
        raise NotImplementedError

    def metrics(self, y: NDArray[np.int64], logits: NDArray[np.floating]) -> dict[str, float]:
        """Measure a split: classes y (window,) and logits (window, class) to bare names."""
        return measured(self.labels, y, logits, threshold=self.threshold, f1_labels=self.f1_labels)

    def answers(self, logits: NDArray[np.floating]) -> NDArray[np.int64]:
        """Return the classes (window,) that logits (window, class) name."""
        return answers_of(logits, self.threshold)


class CrossEntropy(Objective):
    """Cross-entropy of the softmax.

    Args:
        spec: Names the classes.
        class_counts: Windows per class in the training split.
        class_weights: Policy, see `weights_per_class`.
        f1_labels: Classes whose mean F1 is logged as `f1_selected`, or None.
        label_smoothing: Share of the target spread over all classes, 0..1.

    Raises:
        ConfigError: A value is out of range.
    """

    def __init__(
        self,
        *,
        spec: SignalSpec,
        class_counts: Sequence[int],
        class_weights: str | float,
        f1_labels: Sequence[str] | None,
        label_smoothing: float,
    ) -> None:
        super().__init__(
            spec=spec,
            class_counts=class_counts,
            class_weights=class_weights,
            f1_labels=f1_labels,
        )
        self.label_smoothing = _check_range("label_smoothing", label_smoothing, 0, 1)

    def losses(self, logits: Tensor, y: Tensor) -> Tensor:
        """Return the weighted loss of each window, (batch,)."""
        # Not torch's `weight`: with smoothing it also weighs the classes that are not there, and
        # one very rare class then pulls on every window.
        smoothed = functional.cross_entropy(
            logits, y, reduction="none", label_smoothing=self.label_smoothing
        )
        return self.weight[y] * smoothed


class SequenceCrossEntropy(CrossEntropy):
    """Cross-entropy at every step, each having the class of its window.

    Figures are about windows; `f1_prior_corrected` is what Hannun et al. submitted: probabilities
    divided by how common the classes are, so that rare ones are named more often.

    Args:
        spec: Names the classes.
        class_counts: Windows per class in the training split.
        class_weights: Policy, see `weights_per_class`.
        f1_labels: Classes whose mean F1 is logged as `f1_selected`, or None.
        label_smoothing: Share of the target spread over all classes, 0..1.
        prior_smoothing: Windows added to the count of each class before dividing by it, 0 or more.

    Raises:
        ConfigError: A value is out of range.
    """

    def __init__(
        self,
        *,
        spec: SignalSpec,
        class_counts: Sequence[int],
        class_weights: str | float,
        f1_labels: Sequence[str] | None,
        label_smoothing: float,
        prior_smoothing: float,
    ) -> None:
        super().__init__(
            spec=spec,
            class_counts=class_counts,
            class_weights=class_weights,
            f1_labels=f1_labels,
            label_smoothing=label_smoothing,
        )
        smoothing = _check_range("prior_smoothing", prior_smoothing, 1e-6, 1e9)
        self._log_prior = np.log(np.asarray(class_counts, dtype=np.float64) + smoothing)

    def losses(self, logits: Tensor, y: Tensor) -> Tensor:
        """Return the weighted loss of each window, (batch,).

        Args:
            logits: (batch, class, step), or (batch, class) where steps are averaged already.
            y: Classes (batch,) int64.
        """
        if logits.ndim == 2:
            return super().losses(logits, y)
        of_step = functional.cross_entropy(
            logits,
            y[:, None].expand(-1, logits.shape[2]),
            reduction="none",
            label_smoothing=self.label_smoothing,
        )
        return self.weight[y] * of_step.mean(dim=1)

    def metrics(self, y: NDArray[np.int64], logits: NDArray[np.floating]) -> dict[str, float]:
        """Measure a split: classes y (window,) and logits (window, class) to bare names."""
        figures = super().metrics(y, logits)
        if self.f1_labels:
            corrected = super().metrics(y, logits - self._log_prior)
            figures[names.F1_PRIOR_CORRECTED] = corrected[names.F1_SELECTED]
        return figures


class Focal(Objective):
    """Cross-entropy that fades for windows the network is already sure of.

    Args:
        spec: Names the classes.
        class_counts: Windows per class in the training split.
        class_weights: Policy, see `weights_per_class`.
        f1_labels: Classes whose mean F1 is logged as `f1_selected`, or None.
        gamma: Exponent of (1 - probability of the true class); 0 is plain cross-entropy.

    Raises:
        ConfigError: A value is out of range.
    """

    def __init__(
        self,
        *,
        spec: SignalSpec,
        class_counts: Sequence[int],
        class_weights: str | float,
        f1_labels: Sequence[str] | None,
        gamma: float,
    ) -> None:
        super().__init__(
            spec=spec,
            class_counts=class_counts,
            class_weights=class_weights,
            f1_labels=f1_labels,
        )
        self.gamma = _check_range("gamma", gamma, 0, 10)

    def losses(self, logits: Tensor, y: Tensor) -> Tensor:
        """Return the weighted loss of each window, (batch,)."""
        log_probability = functional.log_softmax(logits, dim=1)
        of_truth = log_probability.gather(1, y[:, None]).squeeze(1)
        # Not down to 0, where the gradient of a power below 1 is infinite.
        fade = (1 - of_truth.exp()).clamp_min(torch.finfo(logits.dtype).eps) ** self.gamma
        return -self.weight[y] * fade * of_truth


class Multilabel(Objective):
    """Binary cross-entropy of each class by itself, for windows that can have several classes.

    Args:
        spec: Names the classes.
        class_counts: Windows per class in the training split.
        class_weights: Policy, see `weights_per_class`: of the class's term in every window.
        f1_labels: Classes whose mean F1 is logged as `f1_selected`, or None.
        threshold: Probability, the sigmoid of a logit, from which a class is named, inside 0..1.

    Raises:
        ConfigError: A value is out of range, or windows have one class each.
    """

    several = True
    threshold: float

    def __init__(
        self,
        *,
        spec: SignalSpec,
        class_counts: Sequence[int],
        class_weights: str | float,
        f1_labels: Sequence[str] | None,
        threshold: float,
    ) -> None:
        super().__init__(
            spec=spec,
            class_counts=class_counts,
            class_weights=class_weights,
            f1_labels=f1_labels,
        )
        self.threshold = _check_range("threshold", threshold, 0.001, 0.999)

    def forward(self, logits: Tensor, y: Tensor) -> Tensor:
        """Return the mean loss ().

        Args:
            logits: (batch, class).
            y: A 0 or 1 for each class (batch, class), or its share of a mixed window.
        """
        return self.losses(logits, y).mean()

    def losses(self, logits: Tensor, y: Tensor) -> Tensor:
        """Return the weighted loss of each window, the mean over its classes (batch,)."""
        of_class = functional.binary_cross_entropy_with_logits(
            logits, y.to(logits.dtype), reduction="none"
        )
        return (self.weight * of_class).mean(dim=1)
