"""Recorded noise: an excerpt of the records, as loud as asked for, or one clear error."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import signal as sp

from ecgexp.augmentation.recorded import recorded_noise
from ecgexp.config.build import build
from ecgexp.config.compose import compose
from ecgexp.config.validate import validate
from ecgexp.dataset.noise_records import NoiseRecords
from ecgexp.errors import ConfigError, DataError
from tests.dataset.layouts import write_record

FS = 360.0


def counts(number: int) -> np.ndarray:
    return np.random.default_rng(number).integers(-900, 900, (2, 7200))


@pytest.fixture
def nstdb(tmp_path: Path) -> Path:
    """The published layout: three records of two leads at 360 Hz beside each other."""
    for number, name in enumerate(("bw", "em", "ma")):
        write_record(
            tmp_path / "nstdb", name, ("noise1", "noise2"), counts(number), fs=360, extension="dat"
        )
    return tmp_path


def noise(folder: Path | None, *records: str) -> NoiseRecords:
    data_dir = None if folder is None else str(folder)
    return NoiseRecords(data_dir=data_dir, database="nstdb", records=records or ("bw", "em", "ma"))


def test_records_are_those_of_the_files_at_the_wanted_rate(nstdb: Path) -> None:
    for number, signal in enumerate(noise(nstdb).signals(FS)):
        np.testing.assert_allclose(signal, counts(number) / 1000, atol=1e-6)
    first = noise(nstdb).signals(100.0)[0]
    expected = sp.resample_poly(counts(0) / 1000, 5, 18, axis=-1, padtype="line")
    np.testing.assert_allclose(first, expected, atol=1e-6)


@pytest.mark.parametrize("snr_db", [-6.0, 0.0, 12.0])
def test_noise_has_the_power_that_was_asked_for(nstdb: Path, snr_db: float) -> None:
    x = np.random.default_rng(1).normal(0.5, 0.3, (6, 2, 1800)).astype(np.float32)
    noisy = recorded_noise(
        x,
        FS,
        np.random.default_rng(2),
        noise=noise(nstdb),
        least_snr_db=snr_db,
        most_snr_db=snr_db,
    )
    added = noisy.astype(np.float64) - x
    for before, after in zip(x, added, strict=True):
        assert 10 * np.log10(before.var() / np.square(after).mean()) == pytest.approx(
            snr_db, abs=0.01
        )
    np.testing.assert_allclose(added.mean(axis=-1), 0, atol=1e-6)


def test_noise_is_an_excerpt_of_a_record(nstdb: Path) -> None:
    x = np.random.default_rng(1).normal(0, 0.3, (1, 1, 900)).astype(np.float32)
    noisy = recorded_noise(
        x, FS, np.random.default_rng(4), noise=noise(nstdb, "em"), least_snr_db=0, most_snr_db=0
    )
    added = (noisy - x)[0, 0]
    rows = np.lib.stride_tricks.sliding_window_view(counts(1), 900, axis=-1).reshape(-1, 900)
    centred = rows - rows.mean(axis=-1, keepdims=True)
    likeness = centred @ added / np.linalg.norm(centred, axis=-1) / np.linalg.norm(added)
    assert likeness.max() == pytest.approx(1.0, abs=1e-5)
    assert np.sort(likeness)[-2] < 0.5


def test_a_flat_window_stays(nstdb: Path) -> None:
    x = np.full((2, 1, 500), 0.7, dtype=np.float32)
    noisy = recorded_noise(
        x, FS, np.random.default_rng(4), noise=noise(nstdb), least_snr_db=0, most_snr_db=0
    )
    np.testing.assert_array_equal(noisy, x)


def test_what_is_missing_is_named(nstdb: Path) -> None:
    (nstdb / "nstdb" / "em.dat").unlink()
    with pytest.raises(DataError, match=r"nstdb/em\.dat is missing; copy bw, em and ma"):
        noise(nstdb).signals(FS)
    with pytest.raises(DataError, match=r"nstdb/none\.hea is missing; copy"):
        noise(nstdb, "none").signals(FS)
    with pytest.raises(DataError, match=r"paths\.data is not set; point paths\.data"):
        noise(None).signals(FS)
    with pytest.raises(ConfigError, match=r"noise\.records=\[\] names no record"):
        NoiseRecords(data_dir=None, database="nstdb", records=[])


def test_what_makes_no_sense_is_named(nstdb: Path) -> None:
    x, rng = np.zeros((1, 1, 8000), dtype=np.float32), np.random.default_rng(0)
    with pytest.raises(ConfigError, match=r"least_snr_db=6 is over most_snr_db=0"):
        recorded_noise(x, FS, rng, noise=noise(nstdb), least_snr_db=6.0, most_snr_db=0.0)
    with pytest.raises(DataError, match=r"noise of 20 s is shorter than a window of 22\.2222 s"):
        recorded_noise(x, FS, rng, noise=noise(nstdb), least_snr_db=0.0, most_snr_db=6.0)


def test_option_reads_below_the_data_folder(nstdb: Path) -> None:
    job = compose("config", ["augmentation=nstdb", f"paths.data={nstdb}"])
    validate(job)
    augmentation = build(job.config["augmentation"], path="augmentation")
    x = np.random.default_rng(1).normal(0, 0.3, (200, 1, 500)).astype(np.float32)
    changed = augmentation.apply(x, 100.0, index=np.arange(200))
    assert 0.3 < (changed != x).any(axis=(1, 2)).mean() < 0.7
    elsewhere = compose("config", ["augmentation=nstdb", "paths.data=/nowhere"])
    assert elsewhere.fingerprint == job.fingerprint
