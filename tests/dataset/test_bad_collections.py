"""Every data set option: each way a recording can be bad has its one message."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import wfdb

from ecgexp.errors import DataError
from tests.dataset.conftest import Database
from tests.dataset.layouts import write_lsad, write_ptbxl
from tests.dataset.test_annotated import NAMES, write_edb
from tests.dataset.test_leaks import write_cinc, write_own

Make = Callable[..., Any]
LSAD = ["426783006", "426177001", "164889003", "427084000"] * 6
PTBXL = [
    *("{'NORM': 100.0}", "{'IMI': 8.0}", "{'NDT': 9.0}", "{'LAFB': 9.0}", "{'LVH': 9.0}"),
] * 6
MITDB = ["100", "101", "102", "103"]


@dataclass(frozen=True)
class Case:
    """A data set: how it is written below `paths.data`, and the recording to spoil."""

    write: Callable[[Path], None]
    victim: str
    faults: tuple[str, ...]
    words: tuple[str, ...] = ()


def write_avh(data: Path) -> None:
    database = Database(data)
    for name in MITDB:
        database.write(name)
    write_edb(data / "edb", NAMES, unusual="B")


SIGNALS = ("missing signal", "damaged header", "mixed rates")
MARKS = ("missing annotations", "annotations out of step", "unknown code")
FOLDS = ("dataset.n_folds=3", "dataset.fold=1", "dataset.protocol=by_patient")
CASES = {
    "lsad": Case(
        lambda data: write_lsad(data / "lsad", LSAD), "JS00003", (*SIGNALS, "swapped leads"), FOLDS
    ),
    "ptbxl": Case(
        lambda data: write_ptbxl(data / "ptbxl", PTBXL),
        "00003_lr",
        (*SIGNALS, "swapped leads"),
        FOLDS,
    ),
    "cinc2017": Case(lambda data: write_cinc(data / "cinc2017"), "A00003", SIGNALS),
    "wfdb_folder": Case(
        lambda data: write_own(data / "recordings"), "p1_0", (*SIGNALS, "swapped leads")
    ),
    "edb": Case(
        lambda data: write_edb(data / "edb", NAMES),
        "e0104",
        (*SIGNALS, *MARKS),
        (f"dataset.tasks.window.source_records={NAMES}",),
    ),
    "avh": Case(
        write_avh,
        "102",
        (*SIGNALS, *MARKS),
        (
            f"dataset.databases.mitdb.task.source_records={MITDB}",
            f"dataset.databases.edb.task.source_records={NAMES}",
        ),
    ),
}


def no_signal(header: Path) -> None:
    next(path for path in header.parent.glob(f"{header.stem}.[dm]at")).unlink()


def damaged_header(header: Path) -> None:
    lines = header.read_text().splitlines()
    n_signals = int(lines[0].split()[1])
    header.write_text("\n".join(lines[:n_signals]) + "\n")


def swapped(header: Path) -> None:
    lines = header.read_text().splitlines()
    words = [line.split() for line in lines]
    words[1][-1], words[3][-1] = words[3][-1], words[1][-1]  # I and III
    words[1][-1], words[2][-1] = words[2][-1], words[1][-1]  # and II
    header.write_text("\n".join([lines[0], *map(" ".join, words[1:13]), *lines[13:]]) + "\n")


def other_rate(header: Path) -> None:
    lines = header.read_text().splitlines()
    first = lines[0].split()
    first[2] = "200"
    header.write_text("\n".join([" ".join(first), *lines[1:]]) + "\n")


def no_marks(header: Path) -> None:
    header.with_suffix(".atr").unlink()


def mark(header: Path, sample: int, symbol: str, note: str) -> None:
    wfdb.wrann(
        header.stem,
        "atr",
        sample=np.array([100, sample]),
        symbol=["N", symbol],
        aux_note=["", note],
        write_dir=str(header.parent),
    )


FAULTS: dict[str, tuple[Callable[[Path], None], str]] = {
    "missing signal": (no_signal, r"{name}\.[dm]at is missing"),
    "damaged header": (damaged_header, r"{name}\.hea is not a readable WFDB header \(\d+ signal"),
    "swapped leads": (swapped, r"record {name}: lead II differs from 1 I \+ 1 III by \d+%"),
    "mixed rates": (other_rate, r"{name} is sampled at 200 Hz.*a data set needs one rate"),
    "missing annotations": (no_marks, r"{name}\.atr is missing"),
    "annotations out of step": (
        lambda header: mark(header, 90000, "N", ""),
        r"{name}\.atr: annotation 1 \('N'\) lies at sample 90000, outside the signal of",
    ),
    "unknown code": (  # a rhythm for edb, a symbol for avh
        lambda header: mark(header, 200, "+" if header.stem[0] == "e" else "?", "(WHAT"),
        r"record {name}, sample 200: the label map does not know the label '(WHAT|\?)'",
    ),
}


@pytest.mark.parametrize(
    ("name", "fault"), [(name, fault) for name, case in CASES.items() for fault in case.faults]
)
def test_bad_recording_is_named(tmp_path: Path, option: Make, name: str, fault: str) -> None:
    case = CASES[name]
    spoil, message = FAULTS[fault]
    case.write(tmp_path / "data")
    spoil(next((tmp_path / "data").rglob(f"{case.victim}.hea")))
    with pytest.raises(DataError, match=message.format(name=case.victim)):
        option(name, *case.words).prepare(progress=False)
    left = [path for path in (tmp_path / "cache").glob("*") if path.suffix != ".lock"]
    assert left == []


@pytest.mark.parametrize("name", [*CASES, "mitdb", "mlii17", "csv_folder"])
def test_missing_folder_is_named(tmp_path: Path, option: Make, name: str) -> None:
    with pytest.raises(DataError, match=r"paths\.data"):
        option(name).prepare(progress=False)
