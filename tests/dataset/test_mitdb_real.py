"""The real database: published counts, the paced records, limits on time."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ecgexp.config.build import build
from ecgexp.config.compose import compose
from ecgexp.errors import DataError

pytestmark = pytest.mark.data

# De Chazal, O'Dwyer and Reilly (2004), table of the test set DS2; Q as annotated.
DS2 = {"N": 44259, "S": 1837, "V": 3221, "F": 388, "Q": 7}
# DS1 as published, less the 1635 N, 128 S, 198 V and 2 F of record 201.
DS1_WITHOUT_201 = {"N": 44231, "S": 816, "V": 3590, "F": 413, "Q": 8}


@pytest.fixture(scope="module")
def recordings() -> Path:
    folder = os.environ.get("ECGEXP_DATA")
    if not folder or not (Path(folder) / "mitdb").is_dir():
        pytest.skip("ECGEXP_DATA does not hold mitdb/")
    return Path(folder)


@pytest.fixture
def mitdb(recordings: Path, tmp_path: Path) -> Callable[..., Any]:
    def make(*overrides: str) -> Any:
        config = compose("config", ["dataset=mitdb", *overrides]).config
        chain = build(config["preprocessing"], path="preprocessing")
        return build(
            config["dataset"],
            path="dataset",
            chain=chain,
            data_dir=recordings,
            cache_dir=tmp_path,
            seed=0,
        )

    return make


def counts(data: Any, *splits: str) -> dict[str, int]:
    labels = data.spec.labels
    return {
        label: sum(int((data.split(split).y == number).sum()) for split in splits)
        for number, label in enumerate(labels)
    }


def test_beats_are_those_that_were_published(mitdb: Callable[..., Any]) -> None:
    started = time.process_time()
    data = mitdb()
    data.prepare(progress=False)
    assert time.process_time() - started < 30
    assert counts(data, "test") == DS2
    assert counts(data, "train", "val") == DS1_WITHOUT_201
    assert min(data.class_counts) > 0
    assert all(counts(data, "val").values())
    started = time.process_time()
    mitdb().prepare(progress=False)
    assert time.process_time() - started < 1


def test_rhythms_have_examples_everywhere(mitdb: Callable[..., Any]) -> None:
    data = mitdb("dataset.task=window")
    for split in ("train", "val", "test"):
        assert min(counts(data, split).values()) > 20
    sides = [set(data.split(split).patient.tolist()) for split in ("train", "val", "test")]
    assert sum(map(len, sides)) == len(set.union(*sides)) == 43


def test_a_paced_record_without_the_lead_is_refused(mitdb: Callable[..., Any]) -> None:
    with pytest.raises(DataError, match=r"record 102 has no lead MLII, its leads are V5, V2"):
        mitdb("dataset.tasks.beat.test_records=[100,102]").prepare(progress=False)


def test_one_man_on_two_sides_is_refused(mitdb: Callable[..., Any]) -> None:
    with pytest.raises(DataError, match=r"patient 201 lies in two splits: record 201 in"):
        mitdb("dataset.tasks.beat.train_records=[101,106,203,208,201]").prepare(progress=False)
