"""Twelve-lead collections: each way a recording can be bad has its one message."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ecgexp.errors import DataError
from tests.dataset.layouts import write_lsad, write_ptbxl

Make = Callable[..., Any]
WRITE: dict[str, tuple[Callable[[Path], None], str]] = {
    "lsad": (
        lambda folder: write_lsad(folder, ["426783006", "426177001", "164889003", "427084000"] * 6),
        "JS00003",
    ),
    "ptbxl": (
        lambda folder: write_ptbxl(
            folder,
            ["{'NORM': 100.0}", "{'IMI': 8.0}", "{'NDT': 9.0}", "{'LAFB': 9.0}", "{'LVH': 9.0}"]
            * 6,
        ),
        "00003_lr",
    ),
}


def no_signal(header: Path) -> None:
    next(path for path in header.parent.glob(f"{header.stem}.*") if path != header).unlink()


def damaged_header(header: Path) -> None:
    header.write_text("\n".join(header.read_text().splitlines()[:5]) + "\n")


def swapped(header: Path) -> None:
    lines = header.read_text().splitlines()
    words = [line.split() for line in lines]
    words[1][-1], words[3][-1] = words[3][-1], words[1][-1]  # I and III
    words[1][-1], words[2][-1] = words[2][-1], words[1][-1]  # and II
    header.write_text("\n".join([lines[0], *map(" ".join, words[1:13]), *lines[13:]]) + "\n")


def other_rate(header: Path) -> None:
    lines = header.read_text().splitlines()
    first = lines[0].split()
    first[2] = "250"
    header.write_text("\n".join([" ".join(first), *lines[1:]]) + "\n")


FAULTS: dict[str, tuple[Callable[[Path], None], str]] = {
    "missing signal": (no_signal, r"{name}\.\w+ is missing, though {name}\.hea is there; complete"),
    "damaged header": (damaged_header, r"{name}\.hea is not a readable WFDB header .*4 signal"),
    "swapped leads": (swapped, r"record {name}: lead II differs from 1 I \+ 1 III by \d+%"),
    "mixed rates": (other_rate, r"{name} is sampled at 250 Hz.*a data set needs one rate"),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("name", WRITE)
def test_bad_recording_is_named(tmp_path: Path, option: Make, name: str, fault: str) -> None:
    write, victim = WRITE[name]
    spoil, message = FAULTS[fault]
    write(tmp_path / "data" / name)
    header = next((tmp_path / "data" / name).rglob(f"{victim}.hea"))
    spoil(header)
    with pytest.raises(DataError, match=message.format(name=victim)):
        option(name, "dataset.n_folds=3", "dataset.fold=1", "dataset.protocol=by_patient").prepare(
            progress=False
        )
    left = [path for path in (tmp_path / "cache").glob("*") if path.suffix != ".lock"]
    assert left == []
