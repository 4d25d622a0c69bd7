from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as reference

from ecgexp.training.metrics import (
    answers_of,
    auroc,
    classification_metrics,
    confusion_matrix,
    multilabel_metrics,
    softmax,
)

LABELS = ("N", "S", "V", "F")


def draw(
    seed: int, n: int = 300, classes: tuple[int, ...] = (0, 1, 2, 3)
) -> tuple[np.ndarray, np.ndarray]:
    source = np.random.default_rng(seed)
    y = source.choice(classes, size=n)
    logits = source.normal(size=(n, 4)).astype(np.float32)
    logits[np.arange(n), y] += 0.7
    return y.astype(np.int64), np.round(logits, 1)


@pytest.mark.parametrize("seed", range(5))
def test_every_figure_is_scikit_learns(seed: int) -> None:
    y, logits = draw(seed)
    predicted = logits.argmax(1)
    ours = classification_metrics(LABELS, y, logits)
    precision, recall, f1, _ = reference.precision_recall_fscore_support(y, predicted)
    assert ours["accuracy"] == pytest.approx(reference.accuracy_score(y, predicted))
    assert ours["f1_macro"] == pytest.approx(reference.f1_score(y, predicted, average="macro"))
    assert ours["precision_macro"] == pytest.approx(precision.mean())
    assert ours["recall_macro"] == pytest.approx(reference.balanced_accuracy_score(y, predicted))
    area = reference.roc_auc_score(y, softmax(logits), multi_class="ovr", average="macro")
    assert ours["auroc"] == pytest.approx(area)
    for k, label in enumerate(LABELS):
        assert ours[f"precision_{label}"] == pytest.approx(precision[k])
        assert ours[f"recall_{label}"] == pytest.approx(recall[k])
        assert ours[f"f1_{label}"] == pytest.approx(f1[k])
    assert np.array_equal(
        confusion_matrix(y, predicted, 4), reference.confusion_matrix(y, predicted)
    )


@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.8])
def test_every_figure_of_several_classes_is_scikit_learns(threshold: float) -> None:
    source = np.random.default_rng(7)
    y = (source.random((300, 4)) < (0.1, 0.3, 0.5, 0.2)).astype(np.int64)
    logits = np.round(source.normal(size=(300, 4)) + 1.5 * y - 0.7, 1).astype(np.float32)
    probability = 1 / (1 + np.exp(-logits.astype(np.float64)))
    named = probability >= threshold
    ours = multilabel_metrics(LABELS, y, logits, threshold=threshold, f1_labels=["S", "F"])
    assert np.array_equal(answers_of(logits, threshold), named)
    precision, recall, f1, _ = reference.precision_recall_fscore_support(y, named)
    assert ours["accuracy"] == pytest.approx(reference.accuracy_score(y, named))
    assert ours["f1_macro"] == pytest.approx(reference.f1_score(y, named, average="macro"))
    assert ours["f1_selected"] == pytest.approx((f1[1] + f1[3]) / 2)
    assert ours["precision_macro"] == pytest.approx(precision.mean())
    assert ours["recall_macro"] == pytest.approx(recall.mean())
    area = reference.roc_auc_score(y, probability, average="macro")
    assert ours["auroc"] == pytest.approx(area)
    for k, label in enumerate(LABELS):
        assert ours[f"f1_{label}"] == pytest.approx(f1[k])
    without = y.copy()
    without[:, 1] = 0
    ours = multilabel_metrics(LABELS, without, logits, threshold=threshold)
    assert ours["f1_macro"] == pytest.approx(
        reference.f1_score(without[:, [0, 2, 3]], named[:, [0, 2, 3]], average="macro")
    )


def test_a_class_that_does_not_occur_has_no_figures_and_no_vote() -> None:
    y, logits = draw(1, classes=(0, 1, 2))
    predicted = logits.argmax(1)
    assert (predicted == 3).any()
    ours = classification_metrics(LABELS, y, logits)
    assert not [name for name in ours if name.endswith("_F")]
    present = reference.f1_score(y, predicted, labels=[0, 1, 2], average="macro")
    assert ours["f1_macro"] == pytest.approx(present)


def test_a_class_never_predicted_has_precision_zero() -> None:
    y, logits = draw(2)
    logits[:, 1] = -50
    ours = classification_metrics(LABELS, y, logits)
    assert ours["precision_S"] == ours["recall_S"] == ours["f1_S"] == 0.0


def test_only_one_class_has_no_area() -> None:
    y = np.zeros(4, dtype=np.int64)
    assert "auroc" not in classification_metrics(LABELS, y, np.eye(4, dtype=np.float32))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(-3, 3)), min_size=2, max_size=40))
def test_auroc_with_many_ties(rows: list[tuple[bool, int]]) -> None:
    positive = np.array([row[0] for row in rows])
    score = np.array([row[1] for row in rows], dtype=np.float64)
    if positive.all() or not positive.any():
        return
    assert auroc(positive, score) == pytest.approx(reference.roc_auc_score(positive, score))


def test_softmax_survives_large_logits() -> None:
    probability = softmax(np.array([[1e4, 1e4 - 1.0, -1e4]], dtype=np.float32))
    assert probability[0] == pytest.approx([1 / (1 + np.exp(-1)), 1 / (1 + np.exp(1)), 0])
