from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.calibration import calibration_curve
from torch import nn

from ecgexp.report.certainty import accuracy_of_kept, calibration_bins, calibration_error, certainty
from ecgexp.report.page.run import Picture, write_run_page
from ecgexp.report.saliency import saliency_strips
from ecgexp.training.saliency import saliency
from ecgexp.types import SignalSpec


def predictions(n: int = 600) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    y = random.integers(0, 3, n)
    logits = 2.0 * np.eye(3)[y] + random.normal(0, 1.2, (n, 3))
    odds = np.exp(logits)
    return y, odds / odds.sum(1, keepdims=True)


def test_calibration_is_scikit_learns() -> None:
    y, probability = predictions()
    hit = (probability.argmax(1) == y).astype(int)
    accuracy, mean = calibration_curve(hit, probability.max(1), n_bins=10)
    found_mean, found_accuracy, count = calibration_bins(y, probability)
    assert found_mean == pytest.approx(mean)
    assert found_accuracy == pytest.approx(accuracy)
    assert count.sum() == 600
    sure = np.eye(3)[y]
    assert calibration_error(y, sure) == 0.0
    assert calibration_error((y + 1) % 3, sure) == 1.0


def test_the_threshold_curve_starts_with_all_windows() -> None:
    y, probability = predictions()
    threshold, share, accuracy = accuracy_of_kept(y, probability)
    assert share[0] == 1.0
    assert accuracy[0] == pytest.approx((probability.argmax(1) == y).mean())
    middle = len(share) // 2
    kept = probability.max(1) >= threshold[middle]
    assert share[middle] == pytest.approx(kept.mean())
    assert accuracy[middle] == pytest.approx((probability.argmax(1) == y)[kept].mean())
    tied = np.tile([[0.7, 0.2, 0.1]], (4, 1))
    assert accuracy_of_kept(np.array([0, 0, 1, 2]), tied)[2].tolist() == [0.5]


def test_saliency_finds_the_samples_that_count() -> None:
    class Watcher(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.stack([x[:, 0, 10:20].sum(1), -x[:, 0, 10:20].sum(1)], 1)

    x = np.abs(np.random.default_rng(0).normal(size=(2, 1, 50))).astype(np.float32)
    marks = saliency(Watcher(), x)
    assert marks.shape == x.shape
    assert marks.reshape(2, -1).max(1) == pytest.approx([1, 1])
    assert marks[:, 0, :10].max() == marks[:, 0, 20:].max() == 0


def test_the_page_of_a_run_stands_alone(tmp_path: Path) -> None:
    y, probability = predictions()
    spec = SignalSpec(fs_hz=100.0, leads=("II",), n_samples=300, labels=("N", "S", "V"))
    x = np.random.default_rng(0).normal(size=(3, 1, 300)).astype(np.float32)
    drawn = certainty(spec.labels, y, probability, tmp_path / "certainty.png")
    strips = saliency_strips(spec, x, np.abs(x) / np.abs(x).max(), ["a", "b", "c"],
                             tmp_path / "saliency.png")  # fmt: skip
    assert drawn.stat().st_size > 10_000
    assert strips.stat().st_size > 10_000
    split = {"patients": ["1"], "records": ["1"], "windows": 7, "classes": {"N": 4, "S": 2, "V": 1}}
    page = write_run_page(
        tmp_path / "run.html",
        title="a <run>",
        facts={"run": "abc"},
        data_card={
            "name": "mitdb", "caveat": "it <leaks>", **spec.to_dict(),
            "splits": {"train": split, "val": split, "test": split},
        },
        figures={"test/accuracy": 0.91, "quantization/int8_accuracy": 0.9, "val/loss": 1.0},
        device={"corstone300_m55": {"instructions": 318000.0, "flash_bytes": 2048.0}},
        pictures=[
            Picture(heading="Certainty", note="how sure", path=drawn),
            Picture(heading="Nowhere", note="", path=tmp_path / "missing.png"),
        ],
        config="seed: 1\n",
    ).read_text()  # fmt: skip
    for shown in (
        "a &lt;run&gt;",
        "it &lt;leaks&gt;",
        "0.91",
        "0.9",
        "318,000",
        "2.0 KiB",
        "seed: 1",
    ):
        assert shown in page
    assert "data:image/png;base64," in page
    assert "Nowhere" not in page
    assert "http" not in page.replace("http-equiv", "")


def test_several_classes_are_calibrated_answer_by_answer() -> None:
    source = np.random.default_rng(3)
    probability = source.random((400, 3))
    y = (source.random((400, 3)) < probability**2).astype(np.int64)  # too sure of a yes
    sure = np.maximum(probability, 1 - probability).ravel()
    hit = ((probability >= 0.5) == y).ravel()
    place = np.minimum((sure * 10).astype(int), 9)
    error = sum(
        abs(sure[place == bin].mean() - hit[place == bin].mean()) * (place == bin).mean()
        for bin in range(5, 10)
    )
    assert calibration_error(y, probability) == pytest.approx(error)
