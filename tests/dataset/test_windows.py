"""Cutting windows, and tasks that decide which: against loops written out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ecgexp.dataset.header import Header
from ecgexp.dataset.labels import LEFT_OUT, LabelMap
from ecgexp.dataset.records import Annotations
from ecgexp.dataset.windows import Plan, cover, cut, tile
from ecgexp.errors import ConfigError, DataError


def header(n_samples: int) -> Header:
    return Header(
        folder=Path("."),
        name="100",
        fs_hz=360.0,
        n_samples=n_samples,
        signals=(),
        comments=(),
    )


def annotations(samples: list[int], symbols: str, notes: list[str] | None = None) -> Annotations:
    return Annotations(
        sample=np.array(samples),
        symbol=tuple(symbols),
        note=tuple(notes or [""] * len(samples)),
    )


def test_cut_repeats_the_edges() -> None:
    x = np.arange(10.0)[None]
    windows = cut(x, np.array([-2, 3, 8]), 4, "edge")
    assert windows[:, 0].tolist() == [[0, 0, 0, 1], [3, 4, 5, 6], [8, 9, 9, 9]]


def test_cut_repeats_the_signal() -> None:
    x = np.arange(3.0)[None]
    assert cut(x, np.array([0, 1]), 7, "repeat")[:, 0].tolist() == [
        [0, 1, 2, 0, 1, 2, 0],
        [1, 2, 0, 1, 2, 0, 1],
    ]


@pytest.mark.parametrize(
    ("n_samples", "stride", "starts"),
    [
        (100, None, [35]),
        (30, None, [0]),
        (12, None, [0]),
        (12, 5, [0]),
        (90, 30, [0, 30, 60]),
        (100, 30, [0, 30, 60, 70]),
    ],
)
def test_cover_sees_the_whole_recording(
    n_samples: int, stride: int | None, starts: list[int]
) -> None:
    assert cover(n_samples, 30, stride).tolist() == starts


def test_tile_stays_inside() -> None:
    assert tile(100, 30, 30).tolist() == [0, 30, 60]
    assert tile(90, 30, 15).tolist() == [0, 15, 30, 45, 60]
    assert tile(29, 30, 30).tolist() == []


def test_beats_keep_all_that_the_map_knows(beat_task: Callable[..., Any]) -> None:
    found = annotations([5, 400, 800, 900, 1200], "N+VLA")
    start, y = beat_task(before_s=0.5, after_s=0.5).windows(header(2000), found)
    assert start.tolist() == [5 - 180, 800 - 180, 900 - 180, 1200 - 180]
    assert y.tolist() == [0, 2, 0, 1]


def test_classes_out_of_the_labels_are_left_out(beat_task: Callable[..., Any]) -> None:
    found = annotations([5, 800, 900], "NVA")
    start, y = beat_task(labels=["V", "N"]).windows(header(2000), found)
    assert (len(start), y.tolist()) == (2, [1, 0])


def test_a_rhythm_window_lies_in_one_class(rhythm_task: Callable[..., Any]) -> None:
    second = 360
    found = annotations(
        [100, 35 * second, 40 * second, 52 * second, 70 * second],
        "+++N+",
        ["(N", "(AFIB", "(AFL", "", "(P"],
    )
    start, y = rhythm_task().windows(header(90 * second), found)
    # At 0 s before the first mark, at 30 s both classes, from 70 s a rhythm left out.
    assert (start // second).tolist() == [10, 20, 40, 50, 60]
    assert y.tolist() == [0, 0, 1, 1, 1]


def test_a_change_inside_one_class_does_not_end_it(rhythm_task: Callable[..., Any]) -> None:
    found = annotations([0, 1800], "++", ["(AFIB", "(AFL"])
    start, y = rhythm_task().windows(header(3600), found)
    assert (start.tolist(), y.tolist()) == ([0], [1])


def test_unknown_symbol_is_named_with_its_place() -> None:
    labels = LabelMap(key="k", classes={"N": ["N"], "V": ["V"]}, ignored=["+"], labels=["V", "N"])
    assert labels.encode("VN+", np.arange(3), record="1").tolist() == [0, 1, LEFT_OUT]
    with pytest.raises(DataError, match=r"record 1, sample 7: .*does not know the label 'Z'.*k\.c"):
        labels.encode("NZ", np.array([3, 7]), record="1")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ignored": ["V"]}, r"k: symbol 'V' is in V and in ignored; leave it in one"),
        ({"labels": ["N", "X"]}, r"k\.labels=\['N', 'X'\]: needs two or more different classes"),
        ({"labels": ["N", "N"]}, r"needs two or more different classes"),
        ({"labels": ["N"]}, r"needs two or more different classes"),
    ],
)
def test_maps_that_contradict_themselves(change: dict[str, Any], message: str) -> None:
    values = {"key": "k", "classes": {"N": ["N"], "V": ["V"]}, "ignored": [], "labels": ["N", "V"]}
    with pytest.raises(ConfigError, match=message):
        LabelMap(**(values | change))


def test_tasks_without_length_are_refused(
    beat_task: Callable[..., Any], rhythm_task: Callable[..., Any]
) -> None:
    with pytest.raises(ConfigError, match=r"before_s=-1 and after_s=0\.6 must not be negative"):
        beat_task(before_s=-1.0)
    with pytest.raises(ConfigError, match=r"length_s=10 and stride_s=0 must be positive"):
        rhythm_task(stride_s=0.0)


def test_plan_counts_by_split() -> None:
    plan = Plan(
        fs_hz=1.0,
        leads=("I",),
        labels=("a", "b"),
        window_s=1.0,
        records=("1", "2"),
        patients=("1", "2"),
        splits=("test", "train"),
        record=np.array([0, 0, 1]),
        start=np.zeros(3, dtype=np.int64),
        y=np.array([0, 1, 1]),
    )
    assert plan.class_counts("train") == (0, 1)
    assert plan.class_counts("val") == (0, 0)
    assert plan.class_counts("test") == (1, 1)
