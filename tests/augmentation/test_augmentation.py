"""Batches of training: changed, the same after a restart, and training only."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ecgexp.augmentation.amplitude import gain, noise
from ecgexp.augmentation.steps import Augmentation, MixingAugmentation
from ecgexp.augmentation.time import roll
from ecgexp.dataset.sampling import Sampling
from ecgexp.dataset.synthetic import SyntheticDataModule
from ecgexp.errors import ConfigError
from ecgexp.preprocessing.chain import Chain

EFFECTS = [partial(roll, most_s=1.0), partial(gain, deviation=0.2), partial(noise, deviation=0.1)]


def make(**changes: Any) -> Augmentation:
    return Augmentation(**({"effects": EFFECTS, "share": 0.5, "seed": 3} | changes))


@pytest.fixture
def synthetic(tmp_path: Path) -> Callable[[], SyntheticDataModule]:
    def build() -> SyntheticDataModule:
        return SyntheticDataModule(
            n_patients=30,
            windows_per_patient=2,
            window_s=4.0,
            fs_hz=100.0,
            lead="MLII",
            rhythm_shares={"sinus": 0.5, "atrial_fibrillation": 0.5},
            ectopic_share=0.1,
            noise_gain=1.0,
            val_fraction=0.2,
            test_fraction=0.2,
            generator_seed=1,
            split_seed=0,
            batch_size=8,
            eval_batch_size=16,
            n_workers=0,
            sampling=Sampling(kind="every", draws=None, crop_s=None),
            judged_by="window",
            chain=Chain(record=[], window=[]),
            data_dir=None,
            cache_dir=tmp_path,
            seed=1,
        )

    return build


def test_a_batch_is_the_same_again_and_new_with_other_windows() -> None:
    x = np.random.default_rng(0).normal(0, 1, (8, 2, 300)).astype(np.float32)
    kept, index = x.copy(), np.arange(8)
    first = make().apply(x, 100.0, index=index)
    np.testing.assert_array_equal(first, make().apply(x, 100.0, index=index))
    assert not np.array_equal(first, make().apply(x, 100.0, index=index[::-1]))
    assert not np.array_equal(first, make(seed=4).apply(x, 100.0, index=index))
    np.testing.assert_array_equal(x, kept)


def test_share_says_how_many_windows_change() -> None:
    x = np.random.default_rng(0).normal(0, 1, (2000, 1, 50)).astype(np.float32)
    one = [partial(gain, deviation=0.2)]
    changed = make(effects=one, share=0.3).apply(x, 100.0, index=np.arange(2000)) != x
    assert 0.25 < changed.any(axis=(1, 2)).mean() < 0.35
    np.testing.assert_array_equal(make(share=0).apply(x, 100.0, index=np.arange(2000)), x)


def test_training_batches_change_and_no_other(synthetic: Callable[[], Any]) -> None:
    plain, changed, again = synthetic(), synthetic(), synthetic()
    changed.augment(make())
    again.augment(make())
    batches = [list(data.train_dataloader()) for data in (plain, changed, again)]
    for (x, y), (x_changed, y_changed), (x_again, _) in zip(*batches, strict=True):
        assert y.tolist() == y_changed.tolist()
        assert not np.array_equal(x, x_changed)
        np.testing.assert_array_equal(x_changed, x_again)
    for loader in ("val_dataloader", "test_dataloader"):
        for (x, _), (x_changed, _) in zip(
            getattr(plain, loader)(), getattr(changed, loader)(), strict=True
        ):
            np.testing.assert_array_equal(x, x_changed)
    np.testing.assert_array_equal(plain.calibration_windows(8), changed.calibration_windows(8))


def test_training_is_mixed_and_nothing_else(synthetic: Callable[[], Any]) -> None:
    plain, mixed, again = synthetic(), synthetic(), synthetic()
    for data in (mixed, again):
        data.augment(MixingAugmentation(effects=EFFECTS, share=0.5, mixup_alpha=0.4, seed=3))
    for (x, y), (x_mixed, shares), (x_again, _) in zip(
        *(data.train_dataloader() for data in (plain, mixed, again)), strict=True
    ):
        assert shares.shape == (len(y), 2)
        assert not np.array_equal(x, x_mixed)
        assert np.array_equal(x_mixed, x_again)
    for loader in ("val_dataloader", "test_dataloader"):
        for (x, y), (x_same, y_same) in zip(
            getattr(plain, loader)(), getattr(mixed, loader)(), strict=True
        ):
            assert np.array_equal(x, x_same)
            assert np.array_equal(y, y_same)


def test_augmentation_that_makes_no_sense() -> None:
    with pytest.raises(ConfigError, match=r"augmentation\.share=1\.5 must lie in 0\.\.1"):
        make(share=1.5)
    with pytest.raises(ConfigError, match=r"augmentation\.effects: 'noise' is no effect"):
        make(effects=["noise"])
