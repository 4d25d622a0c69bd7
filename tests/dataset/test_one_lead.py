"""Twelve leads in the files, one for the network: drawn in training, always the same elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ecgexp.errors import ConfigError
from tests.dataset.layouts import LIMB_AND_CHEST, twelve_leads, write_lsad

Make = Callable[..., Any]
DX = ["426783006", "426177001", "164889003", "427084000"]
ALL = f"dataset.leads=[{', '.join(LIMB_AND_CHEST)}]"


@pytest.fixture
def lsad(tmp_path: Path, option: Make) -> Make:
    write_lsad(tmp_path / "data" / "lsad", [DX[i % 4] for i in range(40)])

    def make(*overrides: str) -> Any:
        return option("lsad", "preprocessing=none", ALL, *overrides)

    return make


def which_lead(x: np.ndarray, record: str) -> tuple[int, int]:
    """Find an excerpt (1, sample) in the twelve leads that were written; also its first sample."""
    leads = twelve_leads(int(record[2:]), 5000)
    counts = np.round(x[0] * 1000).astype(int)
    for lead, row in enumerate(leads):
        for first in np.flatnonzero(row[: 5000 - len(counts) + 1] == counts[0]):
            if np.array_equal(row[first : first + len(counts)], counts):
                return lead, int(first)
    raise AssertionError(f"not in {record}")


def test_training_draws_leads_and_places_and_nothing_else_does(lsad: Make) -> None:
    words = ("dataset.sampling.fixed_lead=aVF", "dataset.sampling.crop_s=8.0")
    data, again = lsad(*words), lsad(*words)
    assert (data.spec.leads, data.spec.n_samples) == (("aVF",), 5000)
    leads, places = set(), set()
    loader, other = data.train_dataloader(), again.train_dataloader()
    train = data.split("train")
    for epoch in range(4):
        for each in (loader, other):
            each.sampler.set_epoch(epoch)
        for index, (x, _), (same, _) in zip(loader.sampler, loader, other, strict=True):
            assert x.shape[1:] == (1, 4000)
            np.testing.assert_array_equal(x, same)
            for window, row in zip(x.numpy(), index, strict=True):
                lead, place = which_lead(window, train.record[row])
                leads.add(lead)
                places.add(place)
    assert leads == set(range(12))
    assert len(places) > 50
    for split in ("train", "val", "test"):
        windows = data.split(split)
        for x, record in zip(windows.x, windows.record, strict=True):
            assert which_lead(x, record) == (5, 0)
    assert next(iter(data.val_dataloader()))[0].shape[1:] == (1, 5000)
    assert data.calibration_windows(3).shape == (3, 1, 5000)


def test_without_a_fixed_lead_all_are_served_at_once(lsad: Make) -> None:
    data = lsad()
    assert data.spec.leads == LIMB_AND_CHEST
    assert next(iter(data.train_dataloader()))[0].shape[1:] == (12, 5000)


def test_a_lead_that_is_not_read_is_named(lsad: Make) -> None:
    with pytest.raises(ConfigError, match=r"fixed_lead='MLII': choose one of dataset\.leads, I, "):
        lsad("dataset.sampling.fixed_lead=MLII").prepare(progress=False)
