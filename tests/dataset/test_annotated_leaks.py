"""Annotated databases, task by task: nothing on two sides, nothing fitted to a tested record."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import wfdb

from ecgexp.errors import DataError
from tests.dataset.test_annotated import NAMES, write_edb

Make = Callable[..., Any]
MITDB = ["100", "101", "103", "105", "201", "202", "210"]  # 201 and 202 are the same man
SYMBOLS = ("N", "A", "L", "R", "V", "|")


@dataclass(frozen=True)
class Case:
    """A data set, a task of it and its records; beats of all kinds, or windows of one each."""

    option: str
    words: tuple[str, ...]
    beats: bool = False


def beats(task: str, *words: str) -> Case:
    key = f"dataset.tasks.{task}"
    lists = (f"{key}.train_records={MITDB[:-1]}", f"{key}.test_records={MITDB[-1:]}")
    return Case("mitdb", (f"dataset.task={task}", *lists, f"{key}.n_val_patients=1", *words), True)


def windows(option: str, task: str, records: list[str], *words: str) -> Case:
    key = f"dataset.tasks.{task}.source_records={records}"
    return Case(option, (f"dataset.task={task}", key, *words))


FOLD = ("dataset.fold=1", "dataset.n_folds=3")
CASES = {
    "mitdb beat": beats("beat", "dataset.tasks.beat.labels=[N, S, V]"),
    "mitdb beat, fold": beats("beat", "dataset.tasks.beat.labels=[N, S, V]", *FOLD),
    "mitdb beat_in_context": beats(
        "beat_in_context",
        "dataset.tasks.beat_in_context.labels=[N, S, V]",
        "dataset.tasks.beat_in_context.simulations={}",
        "preprocessing=median_120hz",
    ),
    "mitdb morphology": beats("morphology"),
    "mitdb morphology_chosen": beats(
        "morphology_chosen",
        f"dataset.tasks.morphology_chosen.chosen={dict.fromkeys('NLRV', MITDB)}",
    ),
    "mitdb window": windows("mitdb", "window", MITDB),
    "mitdb window, fold": windows("mitdb", "window", MITDB, *FOLD),
    "mitdb symbol": windows("mitdb", "symbol", MITDB),
    "edb window": windows("edb", "window", NAMES),
    "edb window, fold": windows("edb", "window", NAMES, *FOLD),
    "edb symbol": windows("edb", "symbol", NAMES),
    "avh": Case(
        "avh",
        (
            f"dataset.databases.mitdb.task.source_records={MITDB}",
            f"dataset.databases.edb.task.source_records={NAMES}",
        ),
    ),
}


def write(case: Case, database: Any) -> Path:
    """Write the records of a case."""
    folder: Path = database.folder
    for path in folder.iterdir():
        path.unlink()
    for name in MITDB:
        block = [SYMBOLS[k // 10] if k % 10 == 5 else "N" for k in range(60)]
        kinds = [SYMBOLS[k % 6] for k in range(60)] if case.beats else block
        rhythms = ("(N", "(AFIB", "(VT") * 2 if "dataset.task=window" in case.words else None
        database.write(name, symbols=kinds, notes=rhythms)
    write_edb(folder.parent / "edb", NAMES, unusual="B" if case.option == "avh" else "V")
    return folder.parent


def spoil(stem: Path) -> None:
    """Write other samples into a record and keep its header and annotations."""
    old = wfdb.rdheader(str(stem))
    wfdb.wrsamp(
        stem.name,
        fs=old.fs,
        units=old.units,
        sig_name=old.sig_name,
        p_signal=np.random.default_rng(4711).normal(0, 0.5, (old.sig_len, old.n_sig)).clip(-4, 4),
        fmt=old.fmt,
        adc_gain=old.adc_gain,
        baseline=old.baseline,
        write_dir=str(stem.parent),
    )


def copy(stem: Path, other: Path) -> None:
    """Make a record the same as another one, but for its annotations."""
    other.with_suffix(".dat").write_bytes(stem.with_suffix(".dat").read_bytes())
    text = stem.with_suffix(".hea").read_text()
    header = re.sub(rf"(?m)^{stem.name}(?=[ .])", other.name, text)
    other.with_suffix(".hea").write_text(header)


@pytest.mark.parametrize("name", CASES)
def test_nothing_lies_on_two_sides_and_a_tested_record_decides_nothing(
    database: Any, option: Make, name: str
) -> None:
    case = CASES[name]
    root = write(case, database)

    def load() -> Any:
        chosen = any(word.startswith("preprocessing=") for word in case.words)
        return option(case.option, *([] if chosen else ["preprocessing=none"]), *case.words)

    before = load()
    sides = [before.split(split) for split in ("train", "val", "test")]
    keys: dict[str, Callable[[Any], set[Any]]] = {
        "record": lambda side: set(side.record.tolist()),
        "patient": lambda side: set(side.patient.tolist()),
        "window": lambda side: {x.tobytes() for x in side.x},
    }
    for what, key in keys.items():
        found = [key(side) for side in sides]
        assert sum(map(len, found)) == len(set.union(*found)), what
    if case.option != "edb":
        of = {r: p for side in sides for r, p in zip(side.record, side.patient, strict=True)}
        assert of["201"] == of["202"]
    kept = [(np.array(side.x), side.y, side.record) for side in sides[:2]]
    tested = {path.stem: path.with_suffix("") for path in root.rglob("*.hea")}
    victim = tested[str(sides[2].record[0])]
    spoil(victim)
    after = load()
    assert not np.array_equal(after.split("test").x, sides[2].x)
    assert (after.spec, after.class_counts) == (before.spec, before.class_counts)
    for (x, y, record), split in zip(kept, ("train", "val"), strict=True):
        np.testing.assert_array_equal(after.split(split).x, x)
        np.testing.assert_array_equal(after.split(split).y, y)
        np.testing.assert_array_equal(after.split(split).record, record)

    inside = [tested[str(record)] for record in sides[0].record]
    copy(victim, next(stem for stem in inside if stem.parent == victim.parent))
    with pytest.raises(DataError, match=r"the same record lies in two splits: .* identical"):
        load().prepare(progress=False)
