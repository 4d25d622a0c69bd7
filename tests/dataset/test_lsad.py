"""The large-scale arrhythmia database: rhythm names, leads, bad inputs, the real sample."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ecgexp.dataset.inspect import summarise
from ecgexp.dataset.record_task import RHYTHMS, RhythmNameTask
from ecgexp.errors import ConfigError, DataError
from tests.dataset.layouts import twelve_leads, write_lsad

Make = Callable[..., Any]
# Sinus rhythm, bradycardia with T-wave change, fibrillation, flutter, AVNRT, sinus tachycardia;
# then sinus irregularity, which is in no class, and fibrillation with tachycardia: two classes.
DX = [
    *("426783006", "426177001,164934002", "164889003", "164890007", "233896004", "427084000"),
    *("427393009", "164889003,427084000"),
]
CLASS = [0, 1, 2, 2, 3, 3]
EVERY = [DX[i % 8] for i in range(64)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "data" / "lsad"
    write_lsad(folder, EVERY)
    return folder


@pytest.fixture
def lsad(option: Make) -> Make:
    def make(*overrides: str) -> Any:
        return option("lsad", "preprocessing=none", *overrides)

    return make


def test_codes_become_rhythms_become_classes(folder: Path, lsad: Make) -> None:
    data = lsad("dataset.leads=[aVF]")
    assert (data.spec.labels, data.spec.leads) == (("SR", "SB", "AFIB", "GSVT"), ("aVF",))
    seen = 0
    for split in ("train", "val", "test"):
        windows = data.split(split)
        seen += len(windows)
        for x, y, record in zip(windows.x, windows.y, windows.record, strict=True):
            number = int(record[2:])
            assert CLASS[(number - 1) % 8] == y
            np.testing.assert_allclose(x[0], twelve_leads(number, 5000)[5] / 1000, atol=1e-6)
    assert seen == 48


def test_comments_may_begin_with_a_space(folder: Path, lsad: Make, tmp_path: Path) -> None:
    before = lsad().split("test").record.tolist()
    write_lsad(folder, EVERY, space=" ")
    assert lsad().split("test").record.tolist() == before


def test_no_patient_is_on_two_sides(folder: Path, lsad: Make) -> None:
    for fold in range(5):
        data = lsad(f"dataset.fold={fold}")
        sides = [set(data.split(split).patient) for split in ("train", "val", "test")]
        assert sum(map(len, sides)) == len(set.union(*sides)) == 48


def refused(lsad: Make, message: str, *overrides: str) -> None:
    with pytest.raises(DataError, match=message):
        lsad(*overrides).prepare(progress=False)


def header_of(folder: Path, name: str) -> Path:
    return next(folder.rglob(f"{name}.hea"))


def test_unknown_code(folder: Path, lsad: Make) -> None:
    path = header_of(folder, "JS00003")
    path.write_text(path.read_text().replace("164889003", "123456789"))
    refused(lsad, r"record JS00003: the label map does not know the label '123456789'; add it")


def test_header_without_codes(folder: Path, lsad: Make) -> None:
    path = header_of(folder, "JS00003")
    text = path.read_text()
    path.write_text(text.replace("#Dx: 164889003\n", ""))
    refused(lsad, r"JS00003\.hea has no comment `#Dx: \.\.\.`; add it, or take the recording out")
    path.write_text(text.replace("#Dx: 164889003", "#Dx: Unknown"))
    refused(lsad, r"JS00003\.hea, #Dx: no label in ' Unknown'")


def test_damaged_samples(folder: Path, lsad: Make) -> None:
    path = header_of(folder, "JS00003").with_suffix(".mat")
    content = bytearray(path.read_bytes())
    content[24 : 24 + 4800] = bytes(4800)
    path.write_bytes(bytes(content))
    refused(lsad, r"JS00003\.mat: the samples of lead I+ have checksum \d+, JS00003\.hea says")


def test_unknown_lead(folder: Path, lsad: Make) -> None:
    refused(lsad, r"record JS\d+ has no lead MLII, its leads are I, II, ", "dataset.leads=[MLII]")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"classes": {"SR": ["sr"], "AF": ["afibb"]}},
            r"classes\.AF: 'afibb' is no rhythm; .*'afib'",
        ),
        ({"codes": {"sr": [1], "sinus": [2]}}, r"codes: 'sinus' is no rhythm; known: sr, sbrad,"),
        ({"codes": {"sr": [1], "afib": [1]}}, r"symbol '1' is in sr and in afib"),
        ({"labels": ["SR", "XX"]}, r"labels=\['SR', 'XX'\]: needs two or more different"),
    ],
)
def test_class_map_that_makes_no_sense(changes: dict[str, Any], message: str) -> None:
    values: dict[str, Any] = {
        "codes": {"sr": [1], "afib": [2]},
        "ignored": [3],
        "classes": {"SR": ["sr"], "AF": ["afib"]},
        "labels": ["SR", "AF"],
    }
    with pytest.raises(ConfigError, match=message):
        RhythmNameTask(**(values | changes))


def test_every_rhythm_has_one_name() -> None:
    assert len(RHYTHMS) == len(set(RHYTHMS)) == 15


@pytest.mark.data
def test_real_sample(real_data: Callable[[str], Path], option: Make) -> None:
    data = option("lsad", data_dir=real_data("lsad"))
    splits = summarise(data)["splits"]
    total = sum(np.array(list(split["classes"].values())) for split in splits.values())
    assert total.tolist() == [13, 21, 9, 22]
