from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest

from ecgexp.errors import DataError
from ecgexp.report import pictures
from ecgexp.report.strips import surest_mistakes
from ecgexp.types import SignalSpec


@dataclass(frozen=True)
class Strips:
    x: np.ndarray
    y: np.ndarray
    record: np.ndarray
    start: np.ndarray


def make(seconds: float, leads: tuple[str, ...] = ("MLII",)) -> tuple[SignalSpec, Strips]:
    spec = SignalSpec(
        fs_hz=50.0,
        leads=leads,
        n_samples=int(seconds * 50),
        labels=("N", "V", "atrial_fibrillation"),
    )
    draw = np.random.default_rng(0)
    x = draw.normal(size=(40, len(leads), spec.n_samples)).astype(np.float32)
    record = np.array([f"R{index // 4}" for index in range(40)])
    return spec, Strips(x, draw.integers(0, 3, 40), record, np.arange(40) * spec.n_samples)


def ink(path: Path) -> float:
    """Share of pixels that are not white, after checking that the file is a picture."""
    image = matplotlib.image.imread(path)
    assert min(image.shape[:2]) > 50
    return float((image[..., :3].min(axis=-1) < 0.97).mean())


HISTORY = [
    {"epoch": k, "train/loss": 1 / (k + 1), "val/loss": 1.2 / (k + 1), "val/f1_macro": k / 10,
     "val/accuracy": k / 9, "val/f1_N": 0.5}
    for k in range(6)
]  # fmt: skip


@pytest.mark.parametrize("rows", [1, 2, 6])
def test_learning_curves(tmp_path: Path, rows: int) -> None:
    path = pictures.learning_curves(HISTORY[:rows], tmp_path / "new" / "curves.png")
    assert ink(path) > 0.01


def test_learning_curves_of_an_interrupted_first_epoch(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"curves\.png: no epoch was finished"):
        pictures.learning_curves([], tmp_path / "curves.png")


def test_curves_without_validation_figures(tmp_path: Path) -> None:
    rows = [{"epoch": 0, "train/loss": 1.0}]
    assert ink(pictures.learning_curves(rows, tmp_path / "curves.png")) > 0


def test_confusion_matrix_is_darkest_where_windows_are(tmp_path: Path) -> None:
    y = np.repeat([0, 1, 2], 50)
    right = pictures.confusion_matrix(("N", "S", "V"), y, y, tmp_path / "right.png")
    guess = np.random.default_rng(0).integers(0, 3, 150)
    wrong = pictures.confusion_matrix(("N", "S", "V"), y, guess, tmp_path / "wrong.png")
    darkest = [matplotlib.image.imread(path)[..., 0].min() for path in (right, wrong)]
    assert ink(right) > 0.05
    assert darkest[0] < darkest[1] + 0.2


def test_confusion_matrix_of_a_split_that_lacks_a_class(tmp_path: Path) -> None:
    y = np.zeros(5, dtype=np.int64)
    assert ink(pictures.confusion_matrix(("N", "S"), y, y, tmp_path / "matrix.png")) > 0.01


@pytest.mark.parametrize("seconds", [0.8, 10.0])
@pytest.mark.parametrize("leads", [("MLII",), ("I", "II", "V1")])
def test_strips_of_beats_and_rhythms(
    tmp_path: Path, seconds: float, leads: tuple[str, ...]
) -> None:
    spec, strips = make(seconds, leads)
    logits = np.random.default_rng(1).normal(size=(40, 3)).astype(np.float32)
    errors = pictures.error_examples(spec, strips, logits, tmp_path / "errors.png", n=3)
    examples = pictures.example_windows(spec, strips, tmp_path / "examples.png", seed=0)
    assert ink(errors) > 0.02
    assert ink(examples) > 0.02


def test_no_mistakes_is_a_picture_too(tmp_path: Path) -> None:
    spec, strips = make(1.0)
    logits = np.eye(3, dtype=np.float32)[strips.y]
    assert ink(pictures.error_examples(spec, strips, logits, tmp_path / "errors.png")) > 0


def test_examples_survive_a_class_without_windows(tmp_path: Path) -> None:
    spec, strips = make(1.0)
    only = Strips(strips.x, np.zeros(40, dtype=np.int64), strips.record, strips.start)
    assert ink(pictures.example_windows(spec, only, tmp_path / "examples.png", seed=0)) > 0.01


def test_same_seed_same_picture(tmp_path: Path) -> None:
    spec, strips = make(1.0)
    files = [
        pictures.example_windows(spec, strips, tmp_path / f"{k}.png", seed=3).read_bytes()
        for k in range(2)
    ]
    assert files[0] == files[1]


def test_surest_mistakes_show_each_kind_before_a_second_of_one() -> None:
    y = np.array([0, 0, 0, 1, 1, 2])
    predicted = np.array([1, 1, 1, 0, 1, 0])
    confidence = np.array([0.9, 0.99, 0.8, 0.6, 1.0, 0.5])
    assert surest_mistakes(y, predicted, confidence, 3).tolist() == [1, 3, 5]
    assert surest_mistakes(y, predicted, confidence, 9).tolist() == [1, 3, 5, 0, 2]
