"""Every collection and protocol: nothing on two sides, and nothing fitted to a test recording."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io

from tests.dataset.layouts import (
    LIMB_AND_CHEST,
    twelve_leads,
    write_cinc2017,
    write_lsad,
    write_mlii17,
    write_ptbxl,
    write_record,
)

Make = Callable[..., Any]
PTBXL = [
    *("{'NORM': 100.0}", "{'IMI': 80.0}", "{'NDT': 100.0}", "{'LAFB': 100.0}", "{'LVH': 9.0}"),
    "{'LVH': 9.0, 'IMI': 5.0}",
]
LSAD = ["426783006", "426177001", "164889003", "427084000"]


def write_own(folder: Path) -> None:
    """Ten patients with two recordings each, one of each class, as WFDB and as CSV."""
    for number in range(20):
        inside, name = folder / ("normal", "abnormal")[number % 2], f"p{number // 2}_{number % 2}"
        write_own_record(inside, name, twelve_leads(number, 2500)[:3])


def write_own_record(inside: Path, name: str, counts: np.ndarray) -> None:
    write_record(inside, name, ("I", "II", "III"), counts, fs=250, extension="dat")
    rows = [",".join(f"{value / 1000:.3f}" for value in row) for row in counts.T]
    (inside / f"{name}.csv").write_text("\n".join(["I,II,III", *rows]) + "\n")


def write_cinc(folder: Path) -> None:
    folder.mkdir(parents=True)
    labels = {f"A{i:05d}": "NAO~"[i % 4] for i in range(1, 41)}
    write_cinc2017(folder, labels, folder / "REFERENCE.csv")


def again_wfdb(path: Path, leads: tuple[str, ...], fs: int) -> None:
    """Write other samples into a record and keep the comments of its header."""
    text = path.with_suffix(".hea").read_text()
    comments = [line[1:] for line in text.splitlines() if line.startswith("#")]
    counts = twelve_leads(4711, int(text.split()[3]))[: len(leads)]
    extension = "mat" if path.with_suffix(".mat").exists() else "dat"
    write_record(
        path.parent, path.stem, leads, counts, fs=fs, comments=comments, extension=extension
    )


def again_mat(path: Path) -> None:
    val = np.random.default_rng(4711).integers(900, 1200, (1, 3600))
    scipy.io.savemat(path.with_suffix(".mat"), {"val": val.astype("<i2")})


@dataclass(frozen=True)
class Case:
    """A data set, a protocol of it, how it is written and how a recording is spoilt."""

    option: str
    folder: str
    write: Callable[[Path], None]
    spoil: Callable[[Path], None]
    words: tuple[str, ...] = ()


UPPER = tuple(lead.upper() for lead in LIMB_AND_CHEST)
THREE = "dataset.tasks.all.labels=[NSR, APB, AFL]"
CASES = {
    "cinc2017 by_record": Case(
        "cinc2017", "cinc2017", write_cinc, lambda p: again_wfdb(p, ("ECG",), 300)
    ),
    "lsad by_patient": Case(
        "lsad",
        "lsad",
        lambda folder: write_lsad(folder, LSAD * 12),
        lambda p: again_wfdb(p, LIMB_AND_CHEST, 500),
    ),
    **{
        f"ptbxl {task} {protocol}": Case(
            "ptbxl",
            "ptbxl",
            lambda folder: write_ptbxl(folder, [PTBXL[(i + i // 10) % 6] for i in range(100)]),
            lambda p: again_wfdb(p, UPPER, 100),
            (f"dataset.protocol={protocol}", f"dataset.task={task}"),
        )
        for protocol in ("official", "by_patient")
        for task in ("superclass", "superclasses")
    },
    "mlii17 by_fragment": Case("mlii17", "mlii17", lambda f: write_mlii17(f, 6), again_mat),
    "mlii17 by_patient": Case(
        "mlii17",
        "mlii17",
        lambda folder: write_mlii17(folder, 6),
        again_mat,
        ("dataset.protocol=by_patient", "dataset.n_folds=3", THREE),
    ),
    "wfdb_folder by_patient": Case(
        "wfdb_folder",
        "recordings",
        write_own,
        lambda p: again_wfdb(p, ("I", "II", "III"), 250),
    ),
    "csv_folder by_patient": Case(
        "csv_folder",
        "recordings",
        write_own,
        lambda p: write_own_record(p.parent, p.stem, twelve_leads(4711, 2500)[:3]),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_nothing_lies_on_two_sides_and_a_test_recording_decides_nothing(
    tmp_path: Path, option: Make, name: str
) -> None:
    case = CASES[name]
    root = tmp_path / "data" / case.folder
    case.write(root)
    before = option(case.option, "preprocessing=none", *case.words)
    sides = [before.split(split) for split in ("train", "val", "test")]
    # What a fragment's own patient is does not count there, and the caveat says so.
    assert before.caveat.startswith("split by recording" if "by_fragment" in name else "")
    assert before.caveat == "" or "by_fragment" in name
    keys: dict[str, Callable[[Any], set[Any]]] = {
        "record": lambda side: set(side.record.tolist()),
        "patient": lambda side: set(side.patient.tolist()),
        "window": lambda side: {x.tobytes() for x in side.x},
    }
    for what, key in keys.items():
        found = [key(side) for side in sides]
        assert sum(map(len, found)) == len(set.union(*found)), what
    kept = [(np.array(side.x), side.y, side.record) for side in sides[:2]]
    victim = str(sides[2].record[0])
    case.spoil(next(path for path in root.rglob(f"{Path(victim).name}.*")))
    after = option(case.option, "preprocessing=none", *case.words)
    assert not np.array_equal(after.split("test").x, sides[2].x)
    assert (after.spec, after.class_counts) == (before.spec, before.class_counts)
    for (x, y, record), split in zip(kept, ("train", "val"), strict=True):
        np.testing.assert_array_equal(after.split(split).x, x)
        np.testing.assert_array_equal(after.split(split).y, y)
        np.testing.assert_array_equal(after.split(split).record, record)
