"""The contact sheet of augmentation: every effect has its row, drawn from a real data module."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from ecgexp.augmentation.amplitude import flip, gain
from ecgexp.augmentation.time import roll
from ecgexp.report.effects import describe, effect_sheet
from ecgexp.types import SignalSpec

SPEC = SignalSpec(fs_hz=100.0, leads=("MLII",), n_samples=500, labels=("a", "b"))
BLUE = np.array([0x00, 0x72, 0xB2])


def blue(path: Path) -> np.ndarray:
    """Return which pixels the changed trace colours."""
    pixels = np.asarray(Image.open(path).convert("RGB"), dtype=np.int64)
    return np.abs(pixels - BLUE).sum(axis=-1) < 60


def test_every_effect_is_drawn_below_the_other(tmp_path: Path) -> None:
    x = np.sin(np.arange(500) / 8, dtype=np.float32)[None, None].repeat(4, axis=0)
    one, two = partial(gain, deviation=0.3), partial(roll, most_s=1.0)
    path = effect_sheet(SPEC, x, [one, two], tmp_path / "sheet.png", seed=1)
    again = effect_sheet(SPEC, x, [one, two], tmp_path / "again.png", seed=1)
    assert path.read_bytes() == again.read_bytes()
    rows = blue(path).any(axis=1)
    assert (np.diff(rows.astype(int)) == 1).sum() == 2
    # Upside down, a trace that was above its axis lies below it.
    high = np.abs(x) + 1
    turned = effect_sheet(SPEC, high, [partial(flip, share=1.0)], tmp_path / "flip.png", seed=1)
    where = np.flatnonzero(blue(turned).any(axis=1))
    assert where.min() > Image.open(turned).height / 2


def test_an_effect_is_named_with_its_values() -> None:
    assert describe(partial(gain, deviation=0.3)) == "gain: deviation 0.3"
