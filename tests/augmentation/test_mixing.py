"""Mixup: windows and classes blended alike, in training only, for every objective."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from ecgexp.augmentation.mixing import mixup
from ecgexp.augmentation.steps import MixingAugmentation
from ecgexp.config.build import build
from ecgexp.config.compose import compose
from ecgexp.errors import ConfigError
from ecgexp.types import SignalSpec

SPEC = SignalSpec(fs_hz=100.0, leads=("MLII",), n_samples=500, labels=("a", "b", "c"))


def make(**changes: Any) -> MixingAugmentation:
    values: dict[str, Any] = {"effects": [], "share": 0.0, "mixup_alpha": 0.4, "seed": 1}
    return MixingAugmentation(**(values | changes))


def test_windows_and_classes_are_blended_by_the_same_shares() -> None:
    # Each window is its class written out, so that the mixture can be read off it.
    y = np.arange(300) % 3
    x = np.repeat(np.eye(3, dtype=np.float32)[y][:, None], 2, axis=1)
    kept = x.copy()
    mixed, labels = mixup(x, y, np.random.default_rng(0), alpha=0.4, n_classes=3)
    np.testing.assert_allclose(mixed[:, 0], labels, atol=1e-6)
    np.testing.assert_allclose(labels.sum(axis=1), 1.0, atol=1e-6)
    np.testing.assert_array_equal(x, kept)
    assert (mixed.dtype, labels.dtype) == (np.float32, np.float32)
    assert 0.3 < np.mean(labels.max(axis=1) < 0.999) < 1.0


def test_shares_follow_the_beta_distribution() -> None:
    y = np.repeat([0, 1], 2000)
    _, labels = mixup(np.zeros((4000, 1, 1), np.float32), y, np.random.default_rng(3),
                      alpha=0.5, n_classes=2)  # fmt: skip
    # A partner of the same class hides the share; a Beta(a, a) has variance 1 / (4 (2a + 1)).
    shares = labels[:2000, 0][labels[:2000, 1] > 0]
    assert shares.mean() == pytest.approx(0.5, abs=0.03)
    assert shares.var() == pytest.approx(1 / 8, abs=0.01)


@pytest.mark.parametrize("name", ["cross_entropy", "focal", "sequence"])
def test_the_loss_of_a_mixture_is_the_mixture_of_losses(name: str) -> None:
    node = compose("config", [f"objective={name}"]).config["objective"]
    objective = build(node, path="objective", spec=SPEC, class_counts=(5, 7, 9))
    logits = torch.randn(6, 3, generator=torch.Generator().manual_seed(0))
    first, second = torch.tensor([0, 1, 2, 0, 1, 2]), torch.tensor([1, 1, 0, 2, 2, 2])
    share = torch.linspace(0, 1, 6)
    one_hot = torch.eye(3)
    soft = share[:, None] * one_hot[first] + (1 - share[:, None]) * one_hot[second]
    expected = share * objective.losses(logits, first) + (1 - share) * objective.losses(
        logits, second
    )
    torch.testing.assert_close(objective(logits, soft), expected.mean())
    torch.testing.assert_close(objective(logits, one_hot[first]), objective(logits, first))


def test_cross_entropy_of_a_mixture_is_torchs_of_soft_labels() -> None:
    job = compose("config", ["objective.class_weights=none", "objective.label_smoothing=0"])
    objective = build(job.config["objective"], path="objective", spec=SPEC, class_counts=(5, 7, 9))
    logits = torch.randn(8, 3, generator=torch.Generator().manual_seed(0))
    soft = torch.softmax(torch.randn(8, 3, generator=torch.Generator().manual_seed(1)), dim=1)
    torch.testing.assert_close(
        objective(logits, soft), torch.nn.functional.cross_entropy(logits, soft)
    )


def test_alpha_must_be_positive() -> None:
    with pytest.raises(ConfigError, match=r"augmentation\.mixup_alpha=0 must be positive"):
        make(mixup_alpha=0.0)
