"""CinC 2017 in each layout, its bad inputs, its leaks, and the real recordings."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ecgexp.dataset.inspect import summarise
from ecgexp.errors import ConfigError, DataError
from ecgexp.types import SignalSpec
from tests.dataset.layouts import cinc2017_counts, write_cinc2017, write_record

Make = Callable[..., Any]
LABELS = {f"A{i:05d}": "NAO~"[i % 4] for i in range(1, 41)}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The flat layout with 40 records of 5 to 9 s."""
    folder = tmp_path / "data" / "cinc2017" / "training2017"
    folder.mkdir(parents=True)
    write_cinc2017(folder, LABELS, folder / "REFERENCE.csv")
    return folder


@pytest.fixture
def cinc(option: Make) -> Make:
    def make(*overrides: str) -> Any:
        return option("cinc2017", "preprocessing=none", "dataset.window_s=7", *overrides)

    return make


def test_windows_hold_the_middle_or_go_round(folder: Path, cinc: Make) -> None:
    data = cinc()
    windows = data.split("train")
    assert data.spec == SignalSpec(
        fs_hz=300.0, leads=("ECG",), n_samples=2100, labels=("N", "A", "O", "noise")
    )
    for x, y, record, start in zip(
        windows.x, windows.y, windows.record, windows.start, strict=True
    ):
        number = int(record[1:])
        signal = cinc2017_counts(number)[0] / 1000
        n = len(signal)
        assert start == max(0, (n - 2100) // 2)
        expected = np.concatenate([signal, signal])[start : start + 2100]
        np.testing.assert_allclose(x[0], expected, atol=1e-6)
        assert y == "NAO~".index(LABELS[record])


def test_stride_covers_every_sample(folder: Path, cinc: Make) -> None:
    windows = cinc("dataset.stride_s=1").split("train")
    long = windows.record == "A00004"
    if not long.any():
        long = windows.record == windows.record[np.argmax(windows.start)]
    number = int(windows.record[long][0][1:])
    n = cinc2017_counts(number).shape[1]
    assert windows.start[long].tolist() == list(range(0, n - 2100 + 1, 300))


def test_layouts_give_the_same_windows(
    folder: Path, cinc: Make, option: Make, tmp_path: Path
) -> None:
    published = tmp_path / "other" / "challenge-2017"
    for path in sorted(folder.glob("A*")):
        into = published / "training" / path.stem[:3]
        into.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, into)
    shutil.copy(folder / "REFERENCE.csv", published / "REFERENCE-v3.csv")
    # The challenge's validation part repeats training records; it must not be read.
    (published / "validation").mkdir()
    shutil.copy(folder / "A00001.hea", published / "validation")
    ours = cinc()
    theirs = option(
        "cinc2017", "preprocessing=none", "dataset.window_s=7", data_dir=tmp_path / "other"
    )
    for split in ("train", "val", "test"):
        mine, other = ours.split(split), theirs.split(split)
        assert mine.record.tolist() == other.record.tolist()
        np.testing.assert_array_equal(mine.x, other.x)


def test_newest_reference_wins_and_any_can_be_named(folder: Path, cinc: Make) -> None:
    swapped = {name: "N" if label == "O" else label for name, label in LABELS.items()}
    write_cinc2017(folder, swapped, folder / "REFERENCE-v3.csv")
    drop = "dataset.tasks.rhythm.labels=[N,A,noise]"
    assert cinc(drop).class_counts[0] == 2 * cinc(drop).class_counts[1]
    old = cinc(drop, "dataset.recordings.labels.file=[REFERENCE.csv]")
    assert old.class_counts[0] == old.class_counts[1]


def test_folds_test_every_record_once(folder: Path, cinc: Make) -> None:
    tested: list[str] = []
    for fold in range(4):
        data = cinc("dataset.n_folds=4", f"dataset.fold={fold}")
        sets = {split: set(data.split(split).record) for split in ("train", "val", "test")}
        assert not sets["train"] & sets["test"] | sets["train"] & sets["val"]
        assert not sets["val"] & sets["test"]
        tested += sets["test"]
    assert sorted(tested) == sorted(LABELS)


def test_copies_stay_together(folder: Path, cinc: Make, caplog: Any) -> None:
    caplog.set_level("INFO")
    shutil.copy(folder / "A00001.mat", folder / "A00005.mat")
    header = (folder / "A00001.hea").read_text()
    (folder / "A00005.hea").write_text(header.replace("A00001", "A00005"))
    data = cinc()
    data.prepare(progress=False)
    assert "1 recordings are copies and stay together: A00005 = A00001" in caplog.text
    for split in ("train", "val", "test"):
        inside = set(data.split(split).record)
        assert ("A00001" in inside) == ("A00005" in inside)


@pytest.mark.parametrize(
    "overrides",
    [
        ["preprocessing=rhythm_100hz"],
        ["preprocessing=record_100hz", "dataset.stride_s=1", "dataset.judged_by=record"],
    ],
    ids=["windows", "recordings"],
)
def test_changing_a_test_record_changes_nothing_else(
    folder: Path, cinc: Make, overrides: list[str]
) -> None:
    before = cinc(*overrides)
    kept = {split: np.array(before.split(split).x) for split in ("train", "val")}
    victim = str(before.split("test").record[0])
    counts = -3 * cinc2017_counts(int(victim[1:]))
    write_record(folder, victim, ("ECG",), counts, fs=300, checksums=[0])
    after = cinc(*overrides)
    assert after.split("test").record.tolist() == before.split("test").record.tolist()
    assert after.class_counts == before.class_counts
    for split, x in kept.items():
        np.testing.assert_array_equal(after.split(split).x, x)


def test_summary_has_no_caveat(folder: Path, cinc: Make) -> None:
    assert summarise(cinc())["caveat"] == ""


def refused(cinc: Make, message: str, *overrides: str) -> None:
    with pytest.raises(DataError, match=message):
        cinc(*overrides).prepare(progress=False)


def test_no_folder(tmp_path: Path, cinc: Make) -> None:
    (tmp_path / "data").mkdir()
    refused(cinc, r"cinc2017: no recording \(\*\*/A\*\.hea\) in .*point paths\.data")


def test_no_reference(folder: Path, cinc: Make) -> None:
    (folder / "REFERENCE.csv").unlink()
    refused(cinc, r"no label file: looked for .*REFERENCE-v3\.csv.*name yours in the dataset's")


def test_record_without_label(folder: Path, cinc: Make) -> None:
    text = (folder / "REFERENCE.csv").read_text()
    (folder / "REFERENCE.csv").write_text(text.replace("A00007,~\n", ""))
    refused(cinc, r"REFERENCE\.csv has no row for 1 of 40 recordings, the first is A00007: .*step")
    cinc("dataset.recordings.left_out=[A00007]").prepare(progress=False)


def test_label_without_record(folder: Path, cinc: Make) -> None:
    (folder / "A00007.hea").unlink()
    refused(cinc, r"REFERENCE\.csv names 1 recordings that are not in .*, the first is A00007")


def test_signal_file_gone(folder: Path, cinc: Make) -> None:
    (folder / "A00007.mat").unlink()
    refused(cinc, r"A00007\.mat is missing, though A00007\.hea is there")


def test_truncated_signal_file(folder: Path, cinc: Make) -> None:
    path = folder / "A00007.mat"
    path.write_bytes(path.read_bytes()[:1024])
    refused(cinc, r"A00007\.mat holds 500 samples per lead .* A00007\.hea promises 2100")


def test_unknown_label(folder: Path, cinc: Make) -> None:
    text = (folder / "REFERENCE.csv").read_text()
    (folder / "REFERENCE.csv").write_text(text.replace("A00007,~", "A00007,X"))
    refused(cinc, r"record A00007: the label map does not know the label 'X'; add it")


def test_two_labels_for_one_record(folder: Path, cinc: Make) -> None:
    with (folder / "REFERENCE.csv").open("a") as file:
        file.write("A00001,~\n")
    refused(cinc, r"REFERENCE\.csv names A00001 twice, with 'A' and '~'; keep one row")


def test_row_without_label(folder: Path, cinc: Make) -> None:
    with (folder / "REFERENCE.csv").open("a") as file:
        file.write("A00099\n")
    refused(cinc, r"REFERENCE\.csv, row 41: 1 cells")


def test_mixed_rates(folder: Path, cinc: Make) -> None:
    path = folder / "A00007.hea"
    path.write_text(path.read_text().replace(" 300 ", " 250 ", 1))
    refused(cinc, r"record A00007 is sampled at 250 Hz, A00001 at 300 Hz; a data set needs one")


def test_unknown_lead(folder: Path, cinc: Make) -> None:
    refused(cinc, r"record A\d+ has no lead MLII, its leads are ECG", "dataset.leads=[MLII]")


def test_unknown_record_left_out(folder: Path, cinc: Make) -> None:
    refused(cinc, r"left_out: A99999 is not in", "dataset.recordings.left_out=[A99999]")


def test_unknown_names_of_options(folder: Path, cinc: Make) -> None:
    with pytest.raises(ConfigError, match=r"dataset\.task='beat': choose one of rhythm"):
        cinc("dataset.task=beat")
    with pytest.raises(ConfigError, match=r"dataset\.protocol='x': choose one of by_record"):
        cinc("dataset.protocol=x")
    with pytest.raises(ConfigError, match=r"window_s=0 and stride_s=None must be positive"):
        cinc("dataset.window_s=0")


@pytest.mark.data
def test_real_recordings(real_data: Callable[[str], Path], option: Make) -> None:
    started = time.process_time()
    data = option("cinc2017", data_dir=real_data("cinc2017"))
    data.prepare(progress=False)
    assert time.process_time() - started < 60
    total = sum(
        np.array(list(split["classes"].values())) for split in summarise(data)["splits"].values()
    )
    assert total.tolist() == [4568, 682, 2173, 251]
    side = {
        record: split for split in ("train", "val", "test") for record in data.split(split).record
    }
    assert side["A00227"] == side["A01176"]
    assert side["A02656"] == side["A03123"]
    assert np.isfinite(data.split("val").x).all()
