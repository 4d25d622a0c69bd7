"""Two databases as one data set, and beats chosen by class and record."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import wfdb
from scipy.signal import resample_poly

from ecgexp.dataset.annotated import AnnotatedSource
from ecgexp.dataset.chosen_beats import ChosenBeatTask
from ecgexp.dataset.inspect import summarise
from ecgexp.dataset.joined import JoinedSource
from ecgexp.dataset.window_task import SymbolTask
from ecgexp.errors import ConfigError, DataError
from tests.dataset.test_annotated import NAMES, write_edb

Make = Callable[..., Any]
MITDB = ["100", "101", "102", "103", "110"]
SYMBOLS = ("N", "A", "L", "R", "V", "|")
SHORTER = (
    f"dataset.databases.mitdb.task.source_records={MITDB}",
    f"dataset.databases.edb.task.source_records={NAMES}",
    "preprocessing=none",
)


@pytest.fixture
def windows_of_all_kinds(database: Any) -> None:
    """Give each record a window of every class."""
    beats = np.arange(180, 360 * 60, 360)
    for name in MITDB:
        kinds = [SYMBOLS[k // 10] if k % 10 == 5 else "N" for k in range(len(beats))]
        database.annotate(name, beats, kinds)


def make_joined(option: Make, *changes: str) -> Any:
    return option("avh", *SHORTER, *changes)


def test_two_databases_are_one_data_set_at_the_rate_of_the_first(
    tmp_path: Path, windows_of_all_kinds: None, option: Make
) -> None:
    write_edb(tmp_path / "data" / "edb", NAMES, unusual="B")
    data = make_joined(option)
    assert (data.spec.fs_hz, data.spec.window_shape) == (360.0, (1, 3600))
    assert data.spec.leads == ("MLII/MLIII",)
    splits = summarise(data)["splits"]
    total = {
        label: sum(split["classes"][label] for split in splits.values())
        for label in data.spec.labels
    }
    # 5 records of MIT-BIH with a window of each class; 8 of the other with MLIII, with 2 windows
    # of B and 4 of N, of which 3 hold a mark of rhythm and are left out.
    assert total == {"A": 5, "B": 16, "L": 5, "N": 13, "R": 5, "V": 5, "artifact": 5}
    sides = [set(split["patients"]) for split in splits.values()]
    assert sum(map(len, sides)) == len(set().union(*sides)) == 5 + 8
    assert "90 records of 79 patients" in data.caveat
    assert "on this machine" not in data.caveat
    split = next(name for name in ("train", "val", "test") if "e0101" in data.split(name).record)
    windows = data.split(split)
    row = int(np.flatnonzero((windows.record == "e0101") & (windows.start == 3600))[0])
    record = wfdb.rdrecord(str(tmp_path / "data" / "edb" / "e0101"), channel_names=["MLIII"])
    whole = resample_poly(record.p_signal[:, 0], 36, 25, padtype="line")
    np.testing.assert_allclose(windows.x[row, 0], whole[3600:7200], atol=1e-5)


def test_without_the_second_database_its_class_keeps_an_output(
    windows_of_all_kinds: None, option: Make, caplog: Any
) -> None:
    data = make_joined(option, "dataset.n_folds=3", "dataset.fold=0", "dataset.protocol=by_window")
    assert data.spec.labels == ("A", "B", "L", "N", "R", "V", "artifact")
    assert data.class_counts[1] == 0
    assert "avh: going on without edb" in caplog.text
    assert data.caveat.startswith("THIS PROTOCOL LEAKS")
    assert data.caveat.endswith("edb is not on this machine: there may be no window of B")


def test_only_the_named_class_may_lack_windows(database: Any, option: Make) -> None:
    kinds = [symbol for symbol in ("N", "A", "L", "V", "|", "N") for _ in range(10)]
    for name in MITDB:
        database.annotate(name, np.arange(180, 360 * 60, 360), kinds)
    with pytest.raises(DataError, match="class R has no training example"):
        make_joined(option).prepare(progress=False)


@pytest.mark.parametrize("optional", [["mitdb", "edb"], ["nstdb"]])
def test_what_may_be_missing_is_part_of_the_data_set(option: Make, optional: list[str]) -> None:
    with pytest.raises(ConfigError, match=r"dataset\.optional=.*name some, not all, of mitdb, edb"):
        make_joined(option, f"dataset.optional={optional}")


def test_two_records_of_one_name_are_refused(tmp_path: Path, windows_of_all_kinds: None) -> None:
    task = SymbolTask(
        length_s=10.0,
        stride_s=10.0,
        classes={symbol: [symbol] for symbol in SYMBOLS},
        ignored=["+"],
        labels=list(SYMBOLS),
        source_records=MITDB,
        val_fraction=0.2,
        test_fraction=0.2,
        usual=["N"],
        passed_over=[],
    )
    parts = [
        AnnotatedSource(
            database="mitdb",
            aliases={},
            task_name=name,
            task=task,
            lead="MLII",
            missing_lead="refuse",
            protocol="by_patient",
            caveat="",
            fold=None,
            n_folds=5,
            folder=tmp_path / "data",
            split_seed=0,
        )
        for name in ("one", "two")
    ]
    with pytest.raises(DataError, match="both: two databases have a record 100"):
        JoinedSource(name="both", parts=parts, absent=[], untaught=[]).plan()


CHOSEN: dict[str, Any] = {
    "before_s": 0.4,
    "after_s": 0.6,
    "classes": {"N": ["N"], "V": ["V"]},
    "ignored": ["A", "+"],
    "labels": ["N", "V"],
    "train_records": [100, 101, 102, 103],
    "test_records": [110],
    "n_val_patients": 1,
}


def test_chosen_beats_are_those_of_the_class_in_its_records(database: Any, mitdb: Make) -> None:
    task = ChosenBeatTask(**CHOSEN, chosen={"N": [100, 110], "V": [101, 102, 103, 110]})
    data = mitdb(task, protocol="by_window", fold=0)
    found: dict[str, set[str]] = {"N": set(), "V": set()}
    for split in ("train", "val", "test"):
        windows = data.split(split)
        for label, number in (("N", 0), ("V", 1)):
            found[label] |= set(windows.record[windows.y == number])
    assert found == {"N": {"100", "110"}, "V": {"101", "102", "103", "110"}}
    assert sum(len(data.split(split)) for split in ("train", "val", "test")) == 20 * 6


def test_a_choice_that_leaves_a_class_out_is_named() -> None:
    with pytest.raises(ConfigError, match=r"nothing of the classes \['V'\] .* records \['999'\]"):
        ChosenBeatTask(**CHOSEN, chosen={"N": [100, 999]})
