"""The data module: batches from seed and epoch, draws, fingerprints, Lightning's loop."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch

from ecgexp.dataset.inspect import summarise
from ecgexp.errors import ConfigError, DataError
from ecgexp.preprocessing.chain import Chain
from ecgexp.preprocessing.filters import bandpass
from ecgexp.preprocessing.normalize import z_normalize

Make = Callable[..., Any]


def orders(data: Any, epochs: range) -> list[list[int]]:
    loader = data.train_dataloader()
    seen = []
    for epoch in epochs:
        loader.sampler.set_epoch(epoch)
        seen.append([int(label) for _, y in loader for label in y])
    return seen


def test_windows_have_the_promised_shape(synthetic: Make) -> None:
    data = synthetic()
    spec = data.spec
    assert (spec.fs_hz, spec.leads, spec.n_samples) == (100.0, ("MLII",), 1000)
    assert spec.labels == ("sinus", "bradycardia", "tachycardia", "atrial_fibrillation")
    for name in ("train", "val", "test"):
        windows = data.split(name)
        assert windows.x.shape == (len(windows), 1, 1000)
        assert windows.x.dtype == np.float32
        assert np.isfinite(windows.x).all()
        assert not windows.x.flags.writeable
        assert set(windows.y.tolist()) == {0, 1, 2, 3}
    assert sum(data.class_counts) == len(data.split("train"))


def test_no_patient_on_two_sides(synthetic: Make) -> None:
    data = synthetic()
    patients = [set(data.split(name).patient.tolist()) for name in ("train", "val", "test")]
    assert sum(map(len, patients)) == len(set.union(*patients)) == 40


def test_batches_hold_every_window_once(synthetic: Make) -> None:
    data = synthetic(batch_size=7)
    train = data.split("train")
    loader = data.train_dataloader()
    batches = list(loader)
    assert len(batches) == len(loader)
    sizes = [len(y) for _, y in batches]
    assert max(sizes) <= 7
    assert max(sizes) - min(sizes) <= 1
    x, y = (torch.cat(parts) for parts in zip(*batches, strict=True))
    assert (x.dtype, y.dtype) == (torch.float32, torch.int64)
    order = np.lexsort(x[:, 0, :3].numpy().T)
    expected = np.lexsort(train.x[:, 0, :3].T)
    np.testing.assert_array_equal(x.numpy()[order], train.x[expected])
    np.testing.assert_array_equal(y.numpy()[order], train.y[expected])


def test_order_depends_on_seed_and_epoch_only(synthetic: Make) -> None:
    first = orders(synthetic(), range(3))
    assert orders(synthetic(), range(2, 3)) == first[2:]
    assert first[0] != first[1]
    assert orders(synthetic(seed=2), range(1)) != first[:1]


def test_validation_is_served_in_order(synthetic: Make) -> None:
    data = synthetic()
    for loader, name in ((data.val_dataloader(), "val"), (data.test_dataloader(), "test")):
        x = torch.cat([batch for batch, _ in loader]).numpy()
        np.testing.assert_array_equal(x, data.split(name).x)


def test_lightning_tells_the_epoch(synthetic: Make) -> None:
    """A run of two epochs sees the batches of epochs 0 and 1."""
    seen: list[list[int]] = []

    class Recorder(pl.LightningModule):
        def on_train_epoch_start(self) -> None:
            seen.append([])

        def training_step(self, batch: Any, index: int) -> None:
            seen[-1].extend(batch[1].tolist())

        def configure_optimizers(self) -> None:
            return None

    trainer = pl.Trainer(
        max_epochs=2,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(Recorder(), datamodule=synthetic())
    assert seen == orders(synthetic(), range(2))


def test_draws_come_from_their_split(synthetic: Make) -> None:
    data = synthetic()
    for drawn, split in ((data.calibration_windows(12), "train"), (data.golden_windows(8), "val")):
        members = {window.tobytes() for window in data.split(split).x}
        assert all(window.tobytes() in members for window in drawn)
    np.testing.assert_array_equal(data.golden_windows(8), synthetic().golden_windows(8))
    with pytest.raises(ConfigError, match=r"asked for 9999 windows of a split that has"):
        data.golden_windows(9999)
    assert len(data.calibration_windows(9999)) == len(data.split("train"))


def test_warm_start_reads_no_signal(database: Any, mitdb: Make) -> None:
    first = mitdb()
    first.prepare(progress=False)
    second = mitdb()
    second._source.signal = None
    second._source.plan = None
    second.prepare(progress=False)
    np.testing.assert_array_equal(first.split("test").x, second.split("test").x)


def test_fingerprint_follows_what_makes_the_windows(
    tmp_path: Path, database: Any, mitdb: Make, beat_task: Make
) -> None:
    base = mitdb().fingerprint
    assert mitdb(batch_size=3, seed=9, cache_dir=tmp_path / "other").fingerprint == base
    other_chain = Chain(
        record=[partial(bandpass, low_hz=0.6, high_hz=40.0, order=3, zero_phase=True)], window=[]
    )
    changed = {
        mitdb(chain=other_chain).fingerprint,
        mitdb(split_seed=1).fingerprint,
        mitdb(lead="V1").fingerprint,
        mitdb(beat_task(before_s=0.5)).fingerprint,
    }
    database.write("101", symbols="NVA")
    changed.add(mitdb().fingerprint)
    assert len(changed | {base}) == 6


def test_a_file_touched_in_place_is_read_again(database: Any, mitdb: Make) -> None:
    mitdb().prepare(progress=False)
    path = database.folder / "101.dat"
    path.write_bytes(bytes(path.stat().st_size))
    with pytest.raises(DataError, match=r"101\.dat: the samples of lead MLII have checksum"):
        mitdb().prepare(progress=False)


def test_beats_lie_where_they_were_annotated(database: Any, mitdb: Make) -> None:
    """Without preprocessing a window is the recording itself, shifted by `before_s`."""
    import wfdb

    data = mitdb(chain=Chain(record=[], window=[]))
    windows = data.split("test")
    signal = wfdb.rdrecord(str(database.folder / "110"), channel_names=["MLII"]).p_signal[:, 0]
    assert set(windows.record.tolist()) == {"110"}
    for x, start in zip(windows.x[1:-1], windows.start[1:-1], strict=True):
        np.testing.assert_allclose(x[0], signal[start : start + 360], atol=1e-6)
    found = wfdb.rdann(str(database.folder / "110"), "atr")
    np.testing.assert_array_equal(windows.start + round(0.4 * 360), found.sample)
    assert windows.y.tolist() == [["N", "A", "V"].index(symbol) for symbol in found.symbol]


def test_lead_is_found_by_name(database: Any, mitdb: Make) -> None:
    before = np.array(mitdb().split("test").x)
    signal = np.random.default_rng(110).normal(0, 0.5, (21600, 2)).clip(-4, 4)
    signal = np.round(signal * 200) / 200
    database.write("110", leads=("V5", "MLII"), signal=signal[:, ::-1])
    np.testing.assert_allclose(mitdb().split("test").x, before, atol=1e-5)


def test_rhythm_windows_are_split_by_patient(database: Any, mitdb: Make, rhythm_task: Make) -> None:
    for name in ("100", "101", "102", "103", "110"):
        database.write(name, notes=["(N", "(AFIB"])
    data = mitdb(rhythm_task())
    assert data.spec.labels == ("sinus", "af")
    assert data.class_counts == (9, 9)


def test_summary_counts_everything(synthetic: Make) -> None:
    data = synthetic()
    summary = summarise(data)
    assert summary["labels"] == list(data.spec.labels)
    assert tuple(summary["splits"]["train"]["classes"].values()) == data.class_counts
    assert sum(part["windows"] for part in summary["splits"].values()) == 120
    assert sum(len(part["patients"]) for part in summary["splits"].values()) == 40


def test_senseless_serving_is_refused(synthetic: Make) -> None:
    with pytest.raises(ConfigError, match=r"batch_size=0 and eval_batch_size=32 must be"):
        synthetic(batch_size=0)
    with pytest.raises(ConfigError, match=r"split 'dev': choose one of train, val, test"):
        synthetic().split("dev")


def test_normalisation_is_the_windows_own(synthetic: Make) -> None:
    """No statistic of other windows enters: each window alone comes out the same."""
    chain = Chain(record=[], window=[partial(z_normalize, epsilon=0.01)])
    data, raw = synthetic(chain=chain), synthetic(chain=Chain(record=[], window=[]))
    window = raw.split("train").x[5:6].astype(np.float64)
    expected = (window - window.mean()) / np.sqrt(window.var() + 0.01)
    np.testing.assert_allclose(data.split("train").x[5:6], expected, atol=1e-4)
