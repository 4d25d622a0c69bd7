"""Windows that are images: kept as bytes, served as float32, drawn, never augmented."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ecgexp.augmentation.steps import Augmentation
from ecgexp.dataset.windows import cut
from ecgexp.errors import ConfigError
from ecgexp.preprocessing.chain import Chain
from ecgexp.preprocessing.wavelet import scalogram
from ecgexp.report.strips import error_examples

IMAGES = Chain(
    record=[],
    window=[
        partial(scalogram, wavelet="mexh", low_hz=2.0, high_hz=40.0, n_scales=20, n_columns=30)
    ],
)


@pytest.fixture
def images(database: Any, mitdb: Callable[..., Any]) -> Any:
    return mitdb(chain=IMAGES)


def test_images_are_cached_as_bytes_and_served_as_floats(images: Any, tmp_path: Path) -> None:
    assert images.spec.window_shape == (1, 20, 30)
    assert images.spec.fs_hz == 30.0  # columns of a window of one second
    files = list((tmp_path / "cache").rglob("x.npy"))
    assert [np.load(file).dtype for file in files] == [np.uint8]
    x, y = next(iter(images.train_dataloader()))
    assert (x.dtype, x.shape[1:]) == (torch.float32, (1, 20, 30))
    assert 0.0 <= float(x.min()) < 0.1
    assert 0.95 < float(x.max()) <= 1.0
    assert len(x) == len(y)
    for windows in (images.calibration_windows(6), images.golden_windows(6)):
        assert (windows.dtype, windows.shape) == (np.float32, (6, 1, 20, 30))


def test_an_image_is_that_of_its_own_window(images: Any) -> None:
    windows = images.split("test")
    row = 7
    signal = images.source.signal(str(windows.record[row]))
    piece = cut(signal, windows.start[row : row + 1], 360, "edge")
    np.testing.assert_array_equal(windows.x[row : row + 1], IMAGES.apply_window(piece, 360.0)[0])


def test_images_are_not_augmented_as_signals(images: Any) -> None:
    def louder(x: np.ndarray, fs_hz: float, rng: np.random.Generator) -> np.ndarray:
        return 2 * x

    images.augment(Augmentation(effects=[louder], share=1.0, seed=0))
    with pytest.raises(ConfigError, match=r"windows are images \(1, 20, 30\), .*augmentation=none"):
        next(iter(images.train_dataloader()))
    images.augment(Augmentation(effects=[], share=0.0, seed=0))
    assert next(iter(images.train_dataloader()))[0].shape[1:] == (1, 20, 30)


def test_mistakes_on_images_are_drawn(images: Any, tmp_path: Path) -> None:
    windows = images.split("test")
    logits = np.random.default_rng(0).normal(0, 1, (len(windows), 3))
    path = error_examples(images.spec, windows, logits, tmp_path / "mistakes.png")
    assert path.stat().st_size > 10_000
