"""Show what augmentation does to windows of this data set."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ecgexp.dataset.datamodule import EcgDataModule

_SHOWN = 3


def draw_effects(data: EcgDataModule, path: Path, *, seed: int) -> Path | None:
    """Draw each configured effect on some training windows.

    Args:
        data: A prepared data module.
        path: PNG file to write.
        seed: Seed of the draws.

    Returns:
        The file; None when training windows stay as they are.
    """
    from ecgexp.report import pictures

    effects = data.effects
    if not effects or data.spec.n_rows is not None:
        return None
    windows = data.calibration_windows(min(_SHOWN, len(data.split("train"))))
    return pictures.effect_sheet(data.spec, windows, effects, path, seed=seed)
