"""Recordings of one's own, described by nothing but a YAML file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ecgexp.config.build import build
from ecgexp.config.compose import compose
from ecgexp.config.validate import validate
from ecgexp.dataset.lookup import HeaderComment, PathName, Table
from ecgexp.dataset.reader import CsvReader, MatReader
from ecgexp.errors import ConfigError, DataError
from tests.dataset.layouts import twelve_leads, write_record

Make = Callable[..., Any]
LEADS = ("I", "II", "III")


def write_csv(path: Path, seed: int, n_samples: int = 2500) -> np.ndarray:
    path.parent.mkdir(parents=True, exist_ok=True)
    values = twelve_leads(seed, n_samples)[:3] / 1000
    lines = ["time," + ",".join(LEADS)]
    lines += [f"{i / 250}," + ",".join(f"{v:.3f}" for v in row) for i, row in enumerate(values.T)]
    path.write_text("\n".join(lines) + "\n")
    return values


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    """CSV and WFDB recordings of ten patients, two each, one of each class."""
    folder = tmp_path / "data" / "recordings"
    for patient in range(10):
        for i, label in enumerate(("normal", "abnormal")):
            name = f"p{patient}_{i}"
            write_csv(folder / label / f"{name}.csv", 10 * patient + i)
            counts = twelve_leads(10 * patient + i, 2500)[:3]
            write_record(folder / label, name, LEADS, counts, fs=250, extension="dat")
    return folder


def test_two_formats_give_the_same_windows(recordings: Path, option: Make) -> None:
    wfdb, csv = (
        option(name, "preprocessing=none", "dataset.leads=[III, II]")
        for name in ("wfdb_folder", "csv_folder")
    )
    for split in ("train", "val", "test"):
        mine, other = wfdb.split(split), csv.split(split)
        np.testing.assert_allclose(mine.x, other.x, atol=1e-6)
        assert mine.record.tolist() == other.record.tolist()
        assert mine.y.tolist() == [int(name[-1]) for name in mine.record]
        number = mine.record[0]
        expected = twelve_leads(int(number[1]) * 10 + int(number[-1]), 2500)[[2, 1]] / 1000
        np.testing.assert_allclose(mine.x[0], expected, atol=1e-6)


OWN = """# Mine: `ecgexp run dataset=mine`
defaults:
  - csv_folder
  - _self_
tasks:
  label:
    labels: [healthy, ill]
    classes: {healthy: [h], ill: [a, b]}
    ignored: [seen twice]
recordings:
  name: mine
  places: [clinic]
  glob: '*.csv'
  labels:
    _target_: ecgexp.dataset.lookup.Table
    file: [findings.csv]
    record: file
    column: finding
    pattern: '[^;]+'
    name_pattern: '.+'
  patients:
    _target_: ecgexp.dataset.lookup.PathName
    pattern: '^(p\\d+)_'
  left_out: [p9_1]
"""


def mine(tmp_path: Path, *overrides: str) -> Any:
    (tmp_path / "conf" / "dataset").mkdir(parents=True, exist_ok=True)
    (tmp_path / "conf" / "dataset" / "mine.yaml").write_text(OWN)
    job = compose("config", ["dataset=mine", "preprocessing=none", *overrides], [tmp_path / "conf"])
    validate(job)
    return build(
        job.config["dataset"],
        path="dataset",
        chain=build(job.config["preprocessing"], path="preprocessing"),
        data_dir=tmp_path / "data",
        cache_dir=tmp_path / "cache",
        seed=0,
    )


def test_an_option_file_is_all_it_takes(tmp_path: Path) -> None:
    rows = ["file,finding"]
    for patient in range(10):
        for i, finding in enumerate(("h", "a;seen twice" if patient % 2 else "b")):
            write_csv(tmp_path / "data" / "clinic" / f"p{patient}_{i}.csv", 10 * patient + i)
            rows.append(f"p{patient}_{i},{finding}")
    (tmp_path / "data" / "clinic" / "findings.csv").write_text("\n".join(rows) + "\n")
    # The table itself ends with .csv: a glob finds it, a name takes it out.
    with pytest.raises(DataError, match=r"findings\.csv has no row for 1 of 20 .* is findings"):
        mine(tmp_path).prepare(progress=False)
    data = mine(tmp_path, "dataset.recordings.glob='p*.csv'")
    assert data.spec.labels == ("healthy", "ill")
    sides = [set(data.split(split).patient) for split in ("train", "val", "test")]
    assert sum(map(len, sides)) == len(set.union(*sides)) == 10
    names = [name for split in ("train", "val", "test") for name in data.split(split).record]
    assert len(names) == 19
    assert all(
        y == int(name[-1])
        for split in ("train", "val", "test")
        for y, name in zip(data.split(split).y, data.split(split).record, strict=True)
    )


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda text: text.replace("time,I,II", "time,I,V2"), r"no column II, .* time, I, V2, III"),
        (lambda text: text.replace("\n0.004,", "\n0.004,x"), None),
        (lambda text: text.split("\n")[0], r"holds no samples below its line of lead names"),
    ],
)
def test_bad_csv(recordings: Path, option: Make, spoil: Any, message: str | None) -> None:
    path = recordings / "normal" / "p3_0.csv"
    path.write_text(spoil(path.read_text()))
    data = option("csv_folder", "dataset.leads=[I, II]")
    with pytest.raises(DataError, match=message or r"p3_0\.csv holds a cell that is no number"):
        data.prepare(progress=False)


def test_csv_with_nan(recordings: Path, option: Make) -> None:
    path = recordings / "normal" / "p3_0.csv"
    lines = path.read_text().splitlines()
    lines[8] = "0.028,nan,nan,nan"
    path.write_text("\n".join(lines))
    with pytest.raises(
        DataError, match=r"p3_0\.csv: 1 of 2500 samples are not finite, .* 7; repair"
    ):
        option("csv_folder").prepare(progress=False)


def test_class_folder_that_nobody_named(recordings: Path, option: Make) -> None:
    (recordings / "abnormal").rename(recordings / "unsure")
    with pytest.raises(DataError, match=r"record p\d_1: the label map does not know .* 'unsure'"):
        option("csv_folder").prepare(progress=False)


def test_patient_rule_that_does_not_fit(tmp_path: Path) -> None:
    entry = type("E", (), {"key": "a/b"})()
    with pytest.raises(DataError, match=r"recording a/b: the pattern '\\\\d\+' does not fit"):
        PathName(pattern=r"\d+").find(tmp_path, [entry], ())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: PathName(pattern="("), r"pattern='\(' is no regular expression"),
        (lambda: HeaderComment(key="Dx", pattern="(a)(b)"), r"has 2 groups; one at most"),
        (
            lambda: Table(file=["a"], record=0, column="b", pattern=".", name_pattern="."),
            r"record=0 and column='b' of a table must both be",
        ),
        (
            lambda: CsvReader(fs_hz=0, separator=",", mv_per_unit=1),
            r"fs_hz=0 and mv_per_unit=1 must",
        ),
        (
            lambda: MatReader(variable="v", lead="I", fs_hz=1, gain=-1, zero=0),
            r"fs_hz=1 and gain=-1 must be positive",
        ),
    ],
)
def test_option_that_makes_no_sense(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make()
