"""PTB-XL at both rates: tasks, official folds, copies, bad inputs, the real recordings."""

from __future__ import annotations

import ast
import csv
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ecgexp.dataset.inspect import summarise
from ecgexp.errors import ConfigError, DataError
from tests.dataset.conftest import composed
from tests.dataset.layouts import twelve_leads, write_ptbxl

Make = Callable[..., Any]
CODES = [
    "{'NORM': 100.0, 'SR': 0.0}",
    "{'IMI': 80.0, 'ABQRS': 0.0, 'SBRAD': 0.0}",
    "{'NDT': 100.0, 'AFIB': 0.0}",
    "{'LAFB': 100.0, 'SARRH': 0.0}",
    "{'LVH': 100.0, 'STACH': 0.0}",
    "{'LVH': 100.0, 'NDT': 50.0, 'PACE': 0.0}",  # two superclasses, no class of rhythm
    "{'PVC': 100.0, 'SR': 0.0, 'AFLT': 0.0}",  # no superclass, two rhythms
]
# The shift by one every 70 puts each kind of recording into every official fold.
EVERY = [CODES[(i + i // 70) % 7] for i in range(140)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "data" / "ptbxl"
    write_ptbxl(folder, EVERY)
    return folder


@pytest.fixture
def ptbxl(option: Make) -> Make:
    def make(*overrides: str) -> Any:
        return option("ptbxl", "preprocessing=none", *overrides)

    return make


def test_superclasses_of_records_with_exactly_one(folder: Path, ptbxl: Make) -> None:
    data = ptbxl("dataset.leads=[V6, II]")
    assert data.spec.labels == ("NORM", "MI", "STTC", "CD", "HYP")
    n_windows = 0
    for split in ("train", "val", "test"):
        windows = data.split(split)
        n_windows += len(windows)
        for x, y, record in zip(windows.x, windows.y, windows.record, strict=True):
            ecg_id = int(record[:5])
            assert EVERY[ecg_id - 1] == CODES[y]
            np.testing.assert_allclose(x, twelve_leads(ecg_id, 1000)[[11, 1]] / 1000, atol=1e-6)
            fold = ecg_id % 10 + 1
            assert split == {9: "val", 10: "test"}.get(fold, "train")
    assert n_windows == 100


def test_several_superclasses_at_once(folder: Path, ptbxl: Make) -> None:
    data = ptbxl("dataset.task=superclasses")
    rows = {code: np.eye(5, dtype=int)[k] for k, code in enumerate(CODES[:5])}
    rows[CODES[5]] = np.array([0, 0, 1, 0, 1])
    total = np.zeros(5, dtype=int)
    for split in ("train", "val", "test"):
        windows = data.split(split)
        for y, record in zip(windows.y, windows.record, strict=True):
            np.testing.assert_array_equal(y, rows[EVERY[int(record[:5]) - 1]])
            assert split == {8: "val", 9: "test"}.get(int(record[:5]) % 10, "train")
        counts = summarise(data)["splits"][split]["classes"]
        np.testing.assert_array_equal(list(counts.values()), windows.y.sum(axis=0))
        total += windows.y.sum(axis=0)
    # 20 of each kind; the one without a superclass is left out, the one with two counts twice.
    assert total.tolist() == [20, 20, 40, 20, 40]
    assert data.spec.several
    assert data.class_counts == tuple(data.split("train").y.sum(axis=0))
    x, y = next(iter(data.train_dataloader()))
    assert y.shape == (len(x), 5)
    # One of each set of classes before a second of any: all six are among six.
    drawn = {window.tobytes() for window in data.golden_windows(6)}
    val = data.split("val")
    assert len({tuple(y) for x, y in zip(val.x, val.y, strict=True) if x.tobytes() in drawn}) == 6
    with pytest.raises(ConfigError, match=r"kind=class: a window can have several of the classes"):
        ptbxl("dataset.task=superclasses", "dataset.sampling.kind=class").prepare(progress=False)


def test_rhythms_have_one_name_each(folder: Path, ptbxl: Make) -> None:
    data = ptbxl("dataset.task=rhythm")
    order = ["SR", "SBRAD", "AFIB", "SARRH", "STACH"]
    expected = {"SR": 0, "SARRH": 1, "SBRAD": 2, "AFIB": 3, "STACH": 4}
    for split in ("train", "val", "test"):
        windows = data.split(split)
        for y, record in zip(windows.y, windows.record, strict=True):
            assert expected[order[CODES.index(EVERY[int(record[:5]) - 1])]] == y


def test_500_hz_is_another_glob(folder: Path, ptbxl: Make) -> None:
    write_ptbxl(folder, EVERY, rate=500)
    data = ptbxl("dataset.recordings.glob=records500/*/*_hr.hea")
    several = ptbxl("dataset.recordings.glob=records500/*/*_hr.hea", "dataset.task=superclasses")
    assert several.split("train").y.shape[1:] == (5,)
    assert (several.spec.fs_hz, several.spec.n_samples) == (500.0, 5000)
    assert (data.spec.fs_hz, data.spec.n_samples) == (500.0, 5000)
    assert data.fingerprint != ptbxl().fingerprint
    assert (
        summarise(data)["splits"]["test"]["classes"]
        == (summarise(ptbxl())["splits"]["test"]["classes"])
    )


@pytest.mark.parametrize("protocol", ["official", "by_patient"])
def test_patients_and_copies_stay_together(
    folder: Path, ptbxl: Make, protocol: str, caplog: Any
) -> None:
    caplog.set_level("INFO")
    # Recording 8 of the training folds becomes recording 9 of the test fold, but for one lead.
    path = folder / "records100" / "00000"
    counts = twelve_leads(9, 1000)
    counts[8] += 1
    (path / "00008_lr.dat").write_bytes(counts.astype("<i2").T.tobytes())
    header = (path / "00009_lr.hea").read_text().replace("00009_lr", "00008_lr").splitlines()
    header[9] = header[9].replace(header[9].split()[6], str(int(counts[8].sum()) & 0xFFFF))
    (path / "00008_lr.hea").write_text("\n".join(header) + "\n")
    for fold in (8, 9):
        data = ptbxl(f"dataset.protocol={protocol}", f"dataset.fold={fold}")
        sides = {s: data.split(s) for s in ("train", "val", "test")}
        names = {s: set(windows.record) for s, windows in sides.items()}
        assert all(("00008_lr" in inside) == ("00009_lr" in inside) for inside in names.values())
        ids = {s: {int(record[:5]) % 40 for record in inside} for s, inside in names.items()}
        assert not ids["train"] & ids["test"]
        assert not ids["train"] & ids["val"]
        assert not ids["val"] & ids["test"]
    assert "00009_lr = 00008_lr" in caplog.text
    if protocol == "official":
        assert "lie in another official fold than a copy of them" in caplog.text


def test_code_that_nobody_knows(folder: Path, ptbxl: Make) -> None:
    table = folder / "ptbxl_database.csv"
    table.write_text(table.read_text().replace("'PVC'", "'XYZ'"))
    with pytest.raises(DataError, match=r"record 00007_lr: the label map does not know .* 'XYZ'"):
        ptbxl().prepare(progress=False)


def test_table_without_a_column(folder: Path, ptbxl: Make) -> None:
    table = folder / "ptbxl_database.csv"
    table.write_text(table.read_text().replace("strat_fold", "fold"))
    with pytest.raises(DataError, match=r"has no column 'strat_fold'; it has ecg_id, patient_id"):
        ptbxl().prepare(progress=False)


def test_empty_cell(folder: Path, ptbxl: Make) -> None:
    table = folder / "ptbxl_database.csv"
    table.write_text(table.read_text().replace(CODES[1], "{}", 1))
    with pytest.raises(DataError, match=r"database\.csv, row 2: no label in '\{\}'"):
        ptbxl().prepare(progress=False)


def test_missing_table(folder: Path, ptbxl: Make) -> None:
    (folder / "ptbxl_database.csv").unlink()
    with pytest.raises(DataError, match=r"no label file: looked for .*ptbxl_database\.csv"):
        ptbxl().prepare(progress=False)


def test_swapped_leads(folder: Path, ptbxl: Make) -> None:
    path = folder / "records100" / "00000" / "00001_lr.hea"
    lines = path.read_text().splitlines()
    lines[1] = lines[1].removesuffix("I ").rstrip() + " II"
    lines[2] = lines[2].removesuffix("II ").rstrip() + " I"
    path.write_text("\n".join(lines) + "\n")
    message = r"record 00001_lr: lead II differs from 1 I \+ 1 III by \d+%: two limb leads"
    with pytest.raises(DataError, match=message):
        ptbxl().prepare(progress=False)
    ptbxl("dataset.recordings.left_out=['00001_lr']").prepare(progress=False)


def test_recording_that_is_not_in_the_table(folder: Path, ptbxl: Make) -> None:
    inside = folder / "records100" / "00000"
    shutil.copy(inside / "00001_lr.hea", inside / "00999_lr.hea")
    (inside / "00999_lr.dat").write_bytes((inside / "00001_lr.dat").read_bytes())
    with pytest.raises(DataError, match=r"has no row for 1 of 141 recordings, the first is 999"):
        ptbxl().prepare(progress=False)


@pytest.mark.data
def test_codes_are_those_of_the_published_table(real_data: Callable[[str], Path]) -> None:
    tasks = composed("dataset=ptbxl")["dataset"]["tasks"]
    with (real_data("ptbxl") / "ptbxl" / "scp_statements.csv").open() as file:
        rows = {row[""]: row for row in csv.DictReader(file)}
    for name, codes in tasks["superclass"]["classes"].items():
        of_class = {code for code, row in rows.items() if row["diagnostic_class"] == name}
        assert set(codes) == of_class
    for task, key in (("superclass", "classes"), ("rhythm", "codes")):
        known = {code for codes in tasks[task][key].values() for code in codes}
        assert known | set(tasks[task]["ignored"]) == set(rows)
    rhythms = {code for codes in tasks["rhythm"]["codes"].values() for code in codes}
    assert rhythms == {code for code, row in rows.items() if row["rhythm"] == "1.0"}


@pytest.mark.data
def test_real_recordings(real_data: Callable[[str], Path], option: Make) -> None:
    folder = real_data("ptbxl")
    with (folder / "ptbxl" / "scp_statements.csv").open() as file:
        superclass = {
            row[""]: row["diagnostic_class"]
            for row in csv.DictReader(file)
            if row["diagnostic"] == "1.0"
        }
    with (folder / "ptbxl" / "ptbxl_database.csv").open() as file:
        rows = {int(row["ecg_id"]): row for row in csv.DictReader(file)}
    data = option("ptbxl", data_dir=folder)
    seen = 0
    for split in ("train", "val", "test"):
        windows = data.split(split)
        seen += len(windows)
        for y, record in zip(windows.y, windows.record, strict=True):
            row = rows[int(record[:5])]
            found = {superclass[c] for c in ast.literal_eval(row["scp_codes"]) if c in superclass}
            assert found == {data.spec.labels[y]}
            if record != "00463_lr":  # a copy of 145 under another patient
                assert split == {"9": "val", "10": "test"}.get(row["strat_fold"], "train")
    assert seen == 415
    several = option("ptbxl", "dataset.task=superclasses", data_dir=folder).source.plan()
    for y, name in zip(several.y, several.records, strict=True):
        codes = ast.literal_eval(rows[int(name[:5])]["scp_codes"])
        found = {superclass[code] for code in codes if code in superclass}
        assert found == {label for label, flag in zip(several.labels, y, strict=True) if flag}
    assert len(several.y) == 488
