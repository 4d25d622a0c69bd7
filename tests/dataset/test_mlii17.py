"""The 17 classes in their folders: order, copies, protocols, bad inputs, the real fragments."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io

from ecgexp.dataset.inspect import summarise
from ecgexp.errors import DataError
from tests.dataset.layouts import MLII17, write_mlii17

Make = Callable[..., Any]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Six fragments per class."""
    folder = tmp_path / "data" / "mlii17"
    write_mlii17(folder, 6)
    return folder / "Dataset"


@pytest.fixture
def mlii17(option: Make) -> Make:
    def make(*overrides: str) -> Any:
        return option("mlii17", "preprocessing=none", *overrides)

    return make


def test_classes_are_in_the_order_of_the_numbers(folder: Path, mlii17: Make) -> None:
    data = mlii17()
    assert data.spec.labels == MLII17
    for split in ("train", "val", "test"):
        windows = data.split(split)
        for x, y, record in zip(windows.x, windows.y, windows.record, strict=True):
            number, label = record.split("/")[0].split(" ")
            assert (y, MLII17[y]) == (int(number) - 1, label)
            val = scipy.io.loadmat(folder / f"{record}.mat")["val"]
            np.testing.assert_allclose(x, (val.astype(float) - 1024) / 200, atol=1e-6)


def test_every_class_is_in_every_split(folder: Path, mlii17: Make) -> None:
    for split in summarise(mlii17())["splits"].values():
        assert min(split["classes"].values()) >= 1


def test_copies_stay_together_in_every_fold(folder: Path, mlii17: Make) -> None:
    inside = sorted((folder / "1 NSR").iterdir())
    shutil.copy(inside[0], folder / "1 NSR" / "122m (77).mat")
    # The time in the file's header is no difference.
    val = scipy.io.loadmat(inside[1])["val"]
    scipy.io.savemat(folder / "1 NSR" / "123m (78).mat", {"val": val}, do_compression=True)
    pairs = [
        (f"1 NSR/{inside[0].stem}", "1 NSR/122m (77)"),
        (f"1 NSR/{inside[1].stem}", "1 NSR/123m (78)"),
    ]
    for fold in range(5):
        data = mlii17(f"dataset.fold={fold}")
        for split in ("train", "val", "test"):
            names = set(data.split(split).record)
            assert all((a in names) == (b in names) for a, b in pairs)


def test_fragments_of_known_patients_are_said(folder: Path, mlii17: Make, caplog: Any) -> None:
    data = mlii17()
    data.prepare(progress=False)
    assert "recordings of one patient lie on several sides" in data.caveat
    assert data.caveat in caplog.text


def test_published_protocol_leaks_and_says_so(folder: Path, mlii17: Make, caplog: Any) -> None:
    data = mlii17("dataset.protocol=published_leaking", "dataset.split_seed=3")
    summary = summarise(data)
    assert [summary["splits"][name]["windows"] for name in ("train", "val", "test")] == [82, 51, 20]
    shared = set(data.split("train").record) & set(data.split("test").record)
    assert len(shared) > 10
    assert summary["caveat"].startswith(f"THIS PROTOCOL LEAKS: {len(shared) / 20:.0%} of the test")
    assert summary["caveat"] in caplog.text
    for split in ("train", "test"):
        windows = data.split(split)
        val = scipy.io.loadmat(folder / f"{windows.record[0]}.mat")["val"]
        np.testing.assert_allclose(windows.x[0], (val.astype(float) - 1024) / 200, atol=1e-6)


def test_by_patient_keeps_patients_apart(folder: Path, mlii17: Make) -> None:
    labels = "dataset.tasks.all.labels=[NSR, APB, AFL]"
    data = mlii17("dataset.protocol=by_patient", "dataset.n_folds=3", labels)
    sides = [set(data.split(split).patient) for split in ("train", "val", "test")]
    assert sum(map(len, sides)) == len(set.union(*sides)) == 3
    assert data.caveat == ""


def test_records_201_and_202_are_one_patient(folder: Path, mlii17: Make) -> None:
    for old, new in (("100m", "201m"), ("101m", "202m")):
        for path in folder.glob(f"*/{old} *.mat"):
            path.rename(path.with_name(path.name.replace(old, new)))
    labels = "dataset.tasks.all.labels=[NSR, APB, AFL]"
    # Of two patients one tests: nobody is left to validate on.
    data = mlii17("dataset.protocol=by_patient", "dataset.n_folds=2", labels)
    with pytest.raises(DataError, match=r"split val has no window \(train 6, val 0, test 12\)"):
        data.prepare(progress=False)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"val": np.zeros((2, 3600))}, r"'val' has shape \(2, 3600\); needs one lead"),
        ({"other": np.zeros((1, 3600))}, r"variable 'val' is missing"),
        ({"val": np.full((1, 3600), np.nan)}, r"3600 of 3600 samples are not finite"),
    ],
)
def test_bad_fragment(folder: Path, mlii17: Make, content: dict[str, Any], message: str) -> None:
    path = next((folder / "1 NSR").iterdir())
    scipy.io.savemat(path, content)
    with pytest.raises(DataError, match=message):
        mlii17().prepare(progress=False)


def test_fragment_that_is_no_matlab_file(folder: Path, mlii17: Make) -> None:
    next((folder / "1 NSR").iterdir()).write_bytes(b"nothing of the kind")
    with pytest.raises(DataError, match=r"m \(\d\)\.mat is not a readable MATLAB file"):
        mlii17().prepare(progress=False)


def test_unknown_class(folder: Path, mlii17: Make) -> None:
    (folder / "17 PR").rename(folder / "17 XY")
    with pytest.raises(DataError, match=r"record 17 XY/.*: the label map does not know .* 'XY'"):
        mlii17().prepare(progress=False)


def test_other_lead(folder: Path, mlii17: Make) -> None:
    with pytest.raises(DataError, match=r"dataset\.leads=\['V1'\]: .* holds lead MLII only"):
        mlii17("dataset.leads=[V1]").prepare(progress=False)


@pytest.mark.data
def test_real_fragments(real_data: Callable[[str], Path], option: Make) -> None:
    data = option("mlii17", data_dir=real_data("mlii17"))
    splits = summarise(data)["splits"]
    total = sum(np.array(list(split["classes"].values())) for split in splits.values())
    published = [283, 66, 20, 135, 13, 21, 133, 55, 13, 10, 10, 10, 11, 103, 62, 10, 45]
    assert total.tolist() == published
    assert min(min(split["classes"].values()) for split in splits.values()) >= 1
    assert sum(len(split["patients"]) for split in splits.values()) == 991


@pytest.mark.data
def test_real_fragments_by_patient(real_data: Callable[[str], Path], option: Make) -> None:
    """Of each class, two patients or more train and one or more test, in all of four folds."""
    tested: list[str] = []
    for fold in range(4):
        plan = option(
            "mlii17",
            "dataset.protocol=by_patient",
            "dataset.task=many_patients",
            "dataset.n_folds=4",
            f"dataset.fold={fold}",
            data_dir=real_data("mlii17"),
        ).source.plan()
        sides = {split: set() for split in ("train", "val", "test")}
        for patient, split, label in zip(plan.patients, plan.splits, plan.y, strict=True):
            sides[split].add((patient.split("/")[-1], int(label)))
        people = {split: {patient for patient, _ in side} for split, side in sides.items()}
        assert sum(map(len, people.values())) == len(set.union(*people.values()))
        for split, least in (("train", 2), ("val", 1), ("test", 1)):
            counts = np.bincount([label for _, label in sides[split]], minlength=7)
            assert counts.min() >= least, (fold, split)
        assert not people["test"] & {"202"}  # who is 201
        tested += people["test"]
    assert len(tested) == len(set(tested)) > 30
