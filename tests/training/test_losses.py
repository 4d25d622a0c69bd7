from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score
from sklearn.utils.class_weight import compute_class_weight
from torch.nn import functional

from ecgexp.errors import ConfigError
from ecgexp.training.losses import (
    CrossEntropy,
    Focal,
    Multilabel,
    SequenceCrossEntropy,
    weights_per_class,
)
from ecgexp.types import SignalSpec

COUNTS = (700, 40, 260)


def batch(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(50, 3, generator=generator) * 3, torch.randint(
        0, 3, (50,), generator=generator
    )


def test_balanced_weights_are_scikit_learns() -> None:
    y = np.repeat([0, 1, 2], COUNTS)
    expected = compute_class_weight("balanced", classes=np.array([0, 1, 2]), y=y)
    assert weights_per_class(COUNTS, "balanced").numpy() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("policy", ["none", "balanced", 0.5, 0, 1.5])
def test_weights_average_to_one_over_the_training_windows(policy: str | float) -> None:
    weights = weights_per_class(COUNTS, policy).numpy()
    assert (weights * COUNTS).sum() / sum(COUNTS) == pytest.approx(1.0, rel=1e-6)


def test_power_is_between_none_and_balanced() -> None:
    ratio = weights_per_class(COUNTS, 0.5)
    assert float(ratio[1] / ratio[0]) == pytest.approx((700 / 40) ** 0.5, rel=1e-5)
    assert torch.equal(weights_per_class(COUNTS, "none"), torch.ones(3))


@pytest.mark.parametrize("policy", ["balenced", -1, 3.0, True, None])
def test_unknown_policy(policy: object) -> None:
    with pytest.raises(ConfigError, match=r"objective\.class_weights: .* use none, balanced, or"):
        weights_per_class(COUNTS, policy)  # type: ignore[arg-type]


def test_a_class_without_windows_cannot_be_weighted() -> None:
    with pytest.raises(ConfigError, match=r"none of class index 1; use class_weights=none"):
        weights_per_class((10, 0, 5), "balanced")
    assert torch.equal(weights_per_class((10, 0, 5), "none"), torch.ones(3))


def test_cross_entropy_is_the_textbook_formula(spec: SignalSpec) -> None:
    logits, y = batch()
    loss = CrossEntropy(
        spec=spec,
        class_counts=COUNTS,
        class_weights="balanced",
        f1_labels=None,
        label_smoothing=0.0,
    )
    weight = weights_per_class(COUNTS, "balanced").double().numpy()
    scores = logits.double().numpy()
    log_p = scores - np.log(np.exp(scores).sum(1, keepdims=True))
    expected = -(weight[y] * log_p[np.arange(50), y]).mean()
    assert float(loss(logits, y)) == pytest.approx(expected, rel=1e-5)


def test_label_smoothing_is_torchs(spec: SignalSpec) -> None:
    logits, y = batch()
    loss = CrossEntropy(
        spec=spec, class_counts=COUNTS, class_weights="none", f1_labels=None, label_smoothing=0.1
    )
    assert torch.allclose(loss(logits, y), functional.cross_entropy(logits, y, label_smoothing=0.1))


def test_focal_loss_is_the_papers_formula(spec: SignalSpec) -> None:
    logits, y = batch()
    loss = Focal(spec=spec, class_counts=COUNTS, class_weights=0.5, f1_labels=None, gamma=2.0)
    p = functional.softmax(logits.double(), 1)[torch.arange(50), y]
    expected = (weights_per_class(COUNTS, 0.5)[y] * (1 - p) ** 2 * -p.log()).mean()
    assert float(loss(logits, y)) == pytest.approx(float(expected), rel=1e-5)


def test_focal_loss_without_gamma_is_cross_entropy(spec: SignalSpec) -> None:
    logits, y = batch()
    focal = Focal(spec=spec, class_counts=COUNTS, class_weights="none", f1_labels=None, gamma=0.0)
    assert torch.allclose(focal(logits, y), functional.cross_entropy(logits, y))


def test_focal_gradient_is_finite_for_a_certain_window(spec: SignalSpec) -> None:
    logits = torch.tensor([[200.0, 0.0, 0.0]], requires_grad=True)
    loss = Focal(spec=spec, class_counts=COUNTS, class_weights="none", f1_labels=None, gamma=0.5)
    loss(logits, torch.tensor([0])).backward()
    assert torch.isfinite(logits.grad).all()


def test_out_of_range_settings_name_the_key(spec: SignalSpec) -> None:
    with pytest.raises(ConfigError, match=r"objective\.label_smoothing: 1\.5 is out of .* 0\.\.1"):
        CrossEntropy(
            spec=spec,
            class_counts=COUNTS,
            class_weights="none",
            f1_labels=None,
            label_smoothing=1.5,
        )
    with pytest.raises(ConfigError, match=r"objective\.gamma: -1 is out of range"):
        Focal(spec=spec, class_counts=COUNTS, class_weights="none", f1_labels=None, gamma=-1)


def test_counts_must_match_the_labels(spec: SignalSpec) -> None:
    with pytest.raises(ConfigError, match="2 class counts for 3 labels"):
        Focal(spec=spec, class_counts=(1, 2), class_weights="none", f1_labels=None, gamma=1)


def test_a_rare_class_does_not_weigh_on_windows_of_others(spec: SignalSpec) -> None:
    logits, y = batch()
    loss = CrossEntropy(
        spec=spec,
        class_counts=(10**6, 1, 10**6),
        class_weights="balanced",
        f1_labels=None,
        label_smoothing=0.1,
    )
    others = loss.losses(logits, y)[y != 1]
    plain = functional.cross_entropy(logits, y, reduction="none", label_smoothing=0.1)[y != 1]
    assert torch.allclose(others, plain * loss.weight[0])


def test_the_mean_f1_of_chosen_classes(spec: SignalSpec) -> None:
    y = np.array([0, 0, 1, 2, 2, 2])
    predicted = np.array([0, 1, 1, 2, 2, 0])
    loss = CrossEntropy(
        spec=spec,
        class_counts=COUNTS,
        class_weights="none",
        f1_labels=[spec.labels[2], spec.labels[0]],
        label_smoothing=0.0,
    )
    figures = loss.metrics(y, np.eye(3)[predicted])
    expected = f1_score(y, predicted, labels=[2, 0], average="macro")
    assert figures["f1_selected"] == pytest.approx(expected)
    with pytest.raises(ConfigError, match=r"objective\.f1_labels: .*'X'.*use null or classes out"):
        CrossEntropy(
            spec=spec,
            class_counts=COUNTS,
            class_weights="none",
            f1_labels=["X"],
            label_smoothing=0.0,
        )


def sequence_loss(spec: SignalSpec, **changes: Any) -> SequenceCrossEntropy:
    values: dict[str, Any] = {
        "spec": spec,
        "class_counts": COUNTS,
        "class_weights": 0.5,
        "f1_labels": None,
        "label_smoothing": 0.1,
        "prior_smoothing": 10.0,
    }
    return SequenceCrossEntropy(**(values | changes))


def test_every_step_is_asked_for_the_class_of_its_window(spec: SignalSpec) -> None:
    _, y = batch()
    logits = torch.randn(50, 3, 7, generator=torch.Generator().manual_seed(1))
    loss = sequence_loss(spec)
    single = CrossEntropy(
        spec=spec, class_counts=COUNTS, class_weights=0.5, f1_labels=None, label_smoothing=0.1
    )
    of_step = torch.stack([single.losses(logits[..., step], y) for step in range(7)])
    torch.testing.assert_close(loss.losses(logits, y), of_step.mean(0))
    torch.testing.assert_close(loss.losses(logits[..., 0], y), of_step[0])


def test_prior_correction_divides_probabilities_by_class_shares(spec: SignalSpec) -> None:
    scores, truth = batch()
    logits, y = scores.numpy(), truth.numpy()
    figures = sequence_loss(spec, f1_labels=list(spec.labels[:2])).metrics(y, logits)
    share = (np.array(COUNTS) + 10) / (sum(COUNTS) + 30)
    corrected = (functional.softmax(scores.double(), 1).numpy() / share).argmax(1)
    expected = f1_score(y, corrected, labels=[0, 1], average="macro")
    assert figures["f1_prior_corrected"] == pytest.approx(expected)
    assert figures["f1_selected"] != pytest.approx(expected)
    with pytest.raises(ConfigError, match=r"objective\.prior_smoothing: -1 is out of range"):
        sequence_loss(spec, prior_smoothing=-1)


SEVERAL = SignalSpec(fs_hz=100.0, leads=("II",), n_samples=10, labels=("N", "S", "V"), several=True)
SETTINGS: dict[str, Any] = {"class_counts": COUNTS, "class_weights": "none", "f1_labels": None}


def test_several_classes_are_torchs_binary_cross_entropy() -> None:
    logits, _ = batch()
    rows = torch.from_numpy(np.random.default_rng(0).integers(0, 2, (50, 3)))
    objective = Multilabel(spec=SEVERAL, threshold=0.5, **SETTINGS)
    expected = torch.nn.BCEWithLogitsLoss()(logits, rows.float())
    torch.testing.assert_close(objective(logits, rows), expected)
    shares = torch.rand(50, 3, generator=torch.Generator().manual_seed(1))  # of mixed windows
    torch.testing.assert_close(
        objective(logits, shares), torch.nn.BCEWithLogitsLoss()(logits, shares)
    )
    weighted = Multilabel(spec=SEVERAL, threshold=0.5, **{**SETTINGS, "class_weights": "balanced"})
    weight = weights_per_class(COUNTS, "balanced")
    expected = torch.nn.BCEWithLogitsLoss(weight=weight)(logits, rows.float())
    torch.testing.assert_close(weighted(logits, rows), expected)


def test_a_loss_refuses_windows_of_the_other_kind() -> None:
    one = SignalSpec(fs_hz=100.0, leads=("II",), n_samples=10, labels=("N", "S", "V"))
    with pytest.raises(ConfigError, match=r"can have several of the .* objective=multilabel"):
        CrossEntropy(spec=SEVERAL, label_smoothing=0.0, **SETTINGS)
    with pytest.raises(ConfigError, match=r"exactly one of the .* objective=cross_entropy"):
        Multilabel(spec=one, threshold=0.5, **SETTINGS)
    with pytest.raises(ConfigError, match=r"objective\.threshold: 1 is out of range"):
        Multilabel(spec=SEVERAL, threshold=1, **SETTINGS)
