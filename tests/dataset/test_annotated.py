"""Folds, the protocol that leaks, symbols that name windows, and a second database."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import wfdb

from ecgexp.dataset.inspect import summarise
from ecgexp.dataset.records import Annotations
from ecgexp.dataset.window_task import SymbolTask
from ecgexp.errors import ConfigError, DataError
from tests.dataset.test_windows import header

Make = Callable[..., Any]


def sides(data: Any) -> dict[str, set[str]]:
    return {split: set(data.split(split).patient) for split in ("train", "val", "test")}


def test_beat_folds_validate_every_training_patient_once(database: Any, mitdb: Make) -> None:
    validated: list[str] = []
    for fold in range(4):
        inside = sides(mitdb(fold=fold))
        assert inside["test"] == {"110"}
        assert inside["train"] | inside["val"] == {"100", "101", "102", "103"}
        validated += inside["val"]
    assert sorted(validated) == ["100", "101", "102", "103"]


def test_window_folds_test_every_patient_once(
    database: Any, mitdb: Make, rhythm_task: Make
) -> None:
    for name in ("100", "101", "102", "103", "110"):
        database.write(name, notes=["(N", "(AFIB"])
    tested: list[str] = []
    for fold in range(5):
        inside = sides(mitdb(rhythm_task(val_fraction=0.25), fold=fold, n_folds=5))
        assert not inside["train"] & inside["val"]
        assert not inside["test"] & (inside["train"] | inside["val"])
        tested += inside["test"]
    assert sorted(tested) == ["100", "101", "102", "103", "110"]


def test_by_window_leaks_and_says_so(database: Any, mitdb: Make, caplog: Any) -> None:
    data = mitdb(protocol="by_window", fold=1, n_folds=10)
    splits = summarise(data)["splits"]
    assert all(len(split["patients"]) == 5 for split in splits.values())
    assert [splits[name]["windows"] for name in ("train", "val", "test")] == [240, 30, 30]
    assert set(splits["test"]["classes"].values()) == {10}
    assert data.caveat.startswith("THIS PROTOCOL LEAKS: windows of one recording")
    assert data.caveat in caplog.text
    places = [
        (record, start)
        for split in ("train", "val", "test")
        for record, start in zip(data.split(split).record, data.split(split).start, strict=True)
    ]
    assert len(set(places)) == 300
    with pytest.raises(ConfigError, match=r"protocol=by_window needs dataset\.fold"):
        mitdb(protocol="by_window")


def test_windows_keep_their_samples_when_they_are_split(database: Any, mitdb: Make) -> None:
    by_patient, by_window = mitdb(), mitdb(protocol="by_window", fold=0, n_folds=5)
    of_place: dict[tuple[str, int], np.ndarray] = {}
    for split in ("train", "val", "test"):
        windows = by_patient.split(split)
        of_place |= {
            (str(r), int(s)): x
            for r, s, x in zip(windows.record, windows.start, windows.x, strict=True)
        }
    windows = by_window.split("test")
    for record, start, x in zip(windows.record, windows.start, windows.x, strict=True):
        np.testing.assert_array_equal(x, of_place[str(record), int(start)])


@pytest.mark.parametrize(
    ("symbols", "named"),
    [
        ("NNNN", "N"),
        ("N/N/", "N"),
        ("N/VN", None),  # the first symbol but N is a paced beat
        ("NVLN", "V"),
        ("+NNN", None),
        ("~NVN", "V"),
        ("", None),
    ],
)
def test_symbol_that_names_a_window(symbols: str, named: str | None) -> None:
    task = SymbolTask(
        length_s=10.0,
        stride_s=10.0,
        classes={"N": ["N"], "V": ["V"], "L": ["L"]},
        ignored=["/", "+"],
        labels=["N", "V", "L"],
        source_records=[100],
        val_fraction=0.2,
        test_fraction=0.2,
        usual=["N", "/"],
        passed_over=["~"],
    )
    found = Annotations(
        sample=4000 + 100 * np.arange(len(symbols)),
        symbol=tuple(symbols),
        note=("",) * len(symbols),
    )
    start, y = task.windows(header(7200), found)
    expected = [] if named is None else [["N", "V", "L"].index(named)]
    assert y.tolist() == expected
    assert start.tolist() == [3600] * len(expected)


def write_edb(folder: Path, names: list[str], unusual: str = "V") -> None:
    """Write two leads in format 212 at 250 Hz, rhythm marks, ST and T changes, as published."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for i, name in enumerate(names):
        leads = ["V4", "MLIII"] if i % 3 else ["V5", "V3"]
        signal = rng.normal(0, 0.5, (250 * 60, 2)).clip(-4, 4)
        wfdb.wrsamp(
            name,
            fs=250,
            units=["mV"] * 2,
            sig_name=leads,
            p_signal=signal,
            fmt=["212"] * 2,
            adc_gain=[200.0] * 2,
            baseline=[0] * 2,
            write_dir=str(folder),
        )
        beats = np.arange(125, 250 * 60, 250)
        kinds = [unusual if (k // 10) % 3 == 2 else "N" for k in range(len(beats))]
        marks = [(10, "+", "(N"), (5000, "s", "(ST0+"), (7500, "+", "(AFIB"), (9000, "T", "(T1-")]
        marks += [(11000, "+", "(B")]
        rows = sorted([*marks, *((int(b), k, "") for b, k in zip(beats, kinds, strict=True))])
        wfdb.wrann(
            name,
            "atr",
            sample=np.array([row[0] for row in rows]),
            symbol=[row[1] for row in rows],
            aux_note=[row[2] for row in rows],
            write_dir=str(folder),
        )


NAMES = [f"e01{i:02d}" for i in range(12)]


@pytest.mark.parametrize(
    ("task", "labels"),
    [("window", ["sinus", "atrial_fibrillation", "ventricular"]), ("symbol", ["N", "V"])],
)
def test_european_database(
    tmp_path: Path, option: Make, caplog: Any, task: str, labels: list[str]
) -> None:
    caplog.set_level("INFO")
    write_edb(tmp_path / "data" / "edb", NAMES)
    records = f"dataset.tasks.{task}.source_records={NAMES}"
    data = option("edb", "preprocessing=none", f"dataset.task={task}", records)
    assert (list(data.spec.labels), data.spec.leads) == (labels, ("MLIII",))
    assert (data.spec.fs_hz, data.spec.n_samples) == (250.0, 2500)
    splits = summarise(data)["splits"]
    assert sum(len(split["patients"]) for split in splits.values()) == 8
    assert "left out for want of lead MLIII: e0100, e0103, e0106, e0109" in caplog.text
    assert "90 records of 79 patients" in caplog.text
    if task == "window":  # to 30 s sinus, to 44 s fibrillation, to 60 s ventricular
        # The first window begins before the first mark, the fifth has two rhythms.
        expected = {"sinus": 4, "atrial_fibrillation": 2, "ventricular": 2}
        assert splits["test"]["classes"] == expected
    with pytest.raises(DataError, match=r"record e0100 has no lead MLIII, its leads are V5, V3"):
        option("edb", records, "dataset.missing_lead=refuse", f"dataset.task={task}").prepare(
            progress=False
        )


def test_no_record_has_the_lead(tmp_path: Path, option: Make) -> None:
    write_edb(tmp_path / "data" / "edb", NAMES[:2])
    with pytest.raises(DataError, match="no record of edb has lead aVR"):
        option(
            "edb", "dataset.lead=aVR", f"dataset.tasks.window.source_records={NAMES[:2]}"
        ).prepare(progress=False)


@pytest.mark.data
def test_windows_by_symbol_are_as_many_as_published(
    real_data: Callable[[str], Path], option: Make
) -> None:
    data = option(
        "mitdb",
        "dataset.task=symbol",
        "dataset.protocol=by_window",
        "dataset.fold=0",
        data_dir=real_data("mitdb"),
    )
    splits = summarise(data)["splits"].values()
    total = {label: sum(s["classes"][label] for s in splits) for label in data.spec.labels}
    assert total == {"N": 3756, "V": 1662, "R": 659, "L": 655, "A": 430, "artifact": 45}
