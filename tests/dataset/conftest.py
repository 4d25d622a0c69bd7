"""WFDB records written on the spot, and small data sets made of them."""

from __future__ import annotations

import copy
import functools
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import wfdb
import yaml

from ecgexp.config.build import build
from ecgexp.config.compose import compose
from ecgexp.config.validate import validate
from ecgexp.dataset.annotated import AnnotatedDataModule
from ecgexp.dataset.sampling import Sampling
from ecgexp.dataset.synthetic import SyntheticDataModule
from ecgexp.dataset.task import BeatTask
from ecgexp.dataset.window_task import RhythmTask
from ecgexp.preprocessing.chain import Chain
from ecgexp.preprocessing.filters import bandpass
from ecgexp.preprocessing.normalize import z_normalize
from ecgexp.preprocessing.resample import resample

FS = 360
SECONDS = 60
CLASSES = {"N": ["N", "L"], "S": ["A"], "V": ["V"]}


@dataclass
class Database:
    """A folder `mitdb` with records that tests may spoil."""

    data_dir: Path
    folder: Path = field(init=False)

    def __post_init__(self) -> None:
        self.folder = self.data_dir / "mitdb"
        self.folder.mkdir(parents=True)

    def write(
        self,
        name: str,
        *,
        leads: Sequence[str] = ("MLII", "V1"),
        symbols: Sequence[str] = ("N", "A", "V"),
        notes: Sequence[str] | None = None,
        seed: int | None = None,
        signal: np.ndarray | None = None,
        units: str = "mV",
    ) -> None:
        """Write a record with one beat a second, symbols repeating, and rhythm notes on top."""
        rng = np.random.default_rng(int(name) if seed is None else seed)
        n = FS * SECONDS
        if signal is None:
            signal = np.round(rng.normal(0, 0.5, (n, len(leads))).clip(-4, 4) * 200) / 200
        wfdb.wrsamp(
            name,
            fs=FS,
            units=[units] * len(leads),
            sig_name=list(leads),
            p_signal=signal,
            fmt=["212"] * len(leads),
            adc_gain=[200.0] * len(leads),
            baseline=[0] * len(leads),
            write_dir=str(self.folder),
        )
        beats = np.arange(FS // 2, n, FS)
        chosen = [symbols[i % len(symbols)] for i in range(len(beats))]
        self.annotate(name, beats, chosen, notes)

    def annotate(
        self,
        name: str,
        samples: np.ndarray,
        symbols: Sequence[str],
        notes: Sequence[str] | None = None,
    ) -> None:
        """Write annotations; notes sit on rhythm marks spread evenly over the record."""
        marks = [] if notes is None else [i * FS * SECONDS // len(notes) for i in range(len(notes))]
        places = np.concatenate([np.array(marks, dtype=np.int64), samples])
        every = [*(["+"] * len(marks)), *symbols]
        aux = [*(notes or []), *([""] * len(symbols))]
        order = np.argsort(places, kind="stable")
        wfdb.wrann(
            name,
            "atr",
            sample=places[order],
            symbol=[every[i] for i in order],
            aux_note=[aux[i] for i in order],
            write_dir=str(self.folder),
        )


@pytest.fixture
def database(tmp_path: Path) -> Database:
    """Five records of five patients: 100 to 103 to train on, 110 to test on."""
    database = Database(tmp_path / "data")
    for name in ("100", "101", "102", "103", "110"):
        database.write(name)
    return database


@pytest.fixture
def chain() -> Chain:
    return Chain(
        record=[
            partial(bandpass, low_hz=0.5, high_hz=40.0, order=3, zero_phase=True),
            partial(resample, to_hz=100.0),
        ],
        window=[partial(z_normalize, epsilon=0.01)],
    )


@pytest.fixture
def beat_task() -> Callable[..., BeatTask]:
    def make(**changes: Any) -> BeatTask:
        values: dict[str, Any] = {
            "before_s": 0.4,
            "after_s": 0.6,
            "classes": CLASSES,
            "ignored": ["+", "~"],
            "labels": ["N", "S", "V"],
            "train_records": [100, 101, 102, 103],
            "test_records": [110],
            "n_val_patients": 1,
        }
        return BeatTask(**(values | changes))

    return make


@pytest.fixture
def rhythm_task() -> Callable[..., RhythmTask]:
    def make(**changes: Any) -> RhythmTask:
        values: dict[str, Any] = {
            "length_s": 10.0,
            "stride_s": 10.0,
            "classes": {"sinus": ["N"], "af": ["AFIB", "AFL"]},
            "ignored": ["P"],
            "labels": ["sinus", "af"],
            "source_records": [100, 101, 102, 103, 110],
            "val_fraction": 0.2,
            "test_fraction": 0.2,
        }
        return RhythmTask(**(values | changes))

    return make


@pytest.fixture
def mitdb(
    tmp_path: Path, chain: Chain, beat_task: Callable[..., BeatTask]
) -> Callable[..., AnnotatedDataModule]:
    def make(task: Any = None, **changes: Any) -> AnnotatedDataModule:
        values: dict[str, Any] = {
            "database": "mitdb",
            "aliases": {202: 201},
            "missing_lead": "refuse",
            "protocol": "by_patient",
            "caveat": "",
            "fold": None,
            "n_folds": 4,
            "task": "beat",
            "tasks": {"beat": beat_task() if task is None else task},
            "lead": "MLII",
            "split_seed": 0,
            "batch_size": 16,
            "eval_batch_size": 32,
            "n_workers": 0,
            "sampling": Sampling(kind="every", draws=None, crop_s=None),
            "judged_by": "window",
            "chain": chain,
            "data_dir": tmp_path / "data",
            "cache_dir": tmp_path / "cache",
            "seed": 1,
        }
        return AnnotatedDataModule(**(values | changes))

    return make


@pytest.fixture
def synthetic(tmp_path: Path, chain: Chain) -> Callable[..., SyntheticDataModule]:
    def make(**changes: Any) -> SyntheticDataModule:
        values: dict[str, Any] = {
            "n_patients": 40,
            "windows_per_patient": 3,
            "window_s": 10.0,
            "fs_hz": 250.0,
            "lead": "MLII",
            "rhythm_shares": {
                "sinus": 0.3,
                "bradycardia": 0.2,
                "tachycardia": 0.2,
                "atrial_fibrillation": 0.3,
            },
            "ectopic_share": 0.2,
            "noise_gain": 1.0,
            "val_fraction": 0.2,
            "test_fraction": 0.2,
            "generator_seed": 1,
            "split_seed": 0,
            "batch_size": 16,
            "eval_batch_size": 32,
            "n_workers": 0,
            "sampling": Sampling(kind="every", draws=None, crop_s=None),
            "judged_by": "window",
            "chain": chain,
            "data_dir": None,
            "cache_dir": tmp_path / "cache",
            "seed": 1,
        }
        return SyntheticDataModule(**(values | changes))

    return make


@pytest.fixture
def option(tmp_path: Path) -> Callable[..., Any]:
    """Build a data module from an option of the group `dataset`, as the command line does."""

    def make(name: str, *overrides: str, data_dir: Path | None = None) -> Any:
        chain = [text for text in overrides if text.startswith("preprocessing=")]
        config = copy.deepcopy(composed(f"dataset={name}", *chain))
        for override in overrides:
            path, _, value = override.partition("=")
            if path.startswith("dataset."):
                set_leaf(config, path, yaml.safe_load(value))
        return build(
            config["dataset"],
            path="dataset",
            chain=build(config["preprocessing"], path="preprocessing"),
            data_dir=tmp_path / "data" if data_dir is None else data_dir,
            cache_dir=tmp_path / "cache",
            seed=0,
        )

    return make


@functools.cache
def composed(*choices: str) -> dict[str, Any]:
    """Compose and validate once: that takes longer than most tests."""
    job = compose("config", list(choices))
    validate(job)
    return job.config


def set_leaf(config: dict[str, Any], path: str, value: Any) -> None:
    *folders, leaf = path.split(".")
    for folder in folders:
        config = config[folder]
    assert leaf in config, path
    config[leaf] = value


@pytest.fixture(scope="session")
def real_data() -> Callable[[str], Path]:
    """Return the folder that holds a data set's folder, or skip."""

    def find(name: str) -> Path:
        folder = os.environ.get("ECGEXP_DATA")
        if not folder or not (Path(folder) / name).is_dir():
            pytest.skip(f"ECGEXP_DATA does not hold {name}/")
        return Path(folder)

    return find
