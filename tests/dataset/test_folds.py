"""Folds: every group on one side, every class in its share, the same for every data set."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecgexp.dataset.folds import (
    Assignment,
    GroupedFolds,
    IndependentDraws,
    Labelled,
    OfficialFolds,
    spread,
)
from ecgexp.errors import ConfigError, DataError


def labelled(y: list[int], groups: list[str] | None = None, **changes: Any) -> Labelled:
    names = [str(index) for index in range(len(y))]
    values: dict[str, Any] = {
        "y": np.array(y),
        "n_classes": max(y) + 1,
        "patients": groups or names,
        "copies": names,
        "official": [],
    }
    return Labelled(**(values | changes))


def places(assignment: Assignment, split: str) -> set[int]:
    inside = [name == split for name in assignment.split]
    return set(assignment.recording[inside].tolist())


GROUPED = GroupedFolds(unit="patient", val_fraction=0.125)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 30)), min_size=40, max_size=120),
    st.integers(0, 5),
)
def test_no_group_is_on_two_sides_and_all_test_once(
    recordings: list[tuple[int, int]], seed: int
) -> None:
    y, group = [c for c, _ in recordings], [f"p{g}" for _, g in recordings]
    if len(set(group)) < 5:
        return
    tested: list[int] = []
    for fold in range(5):
        made = GROUPED.split(labelled(y, group), fold=fold, n_folds=5, seed=seed)
        sides = {
            group[i]: {s for j, s in enumerate(made.split) if group[j] == group[i]}
            for i in range(len(y))
        }
        assert all(len(side) == 1 for side in sides.values())
        assert places(made, "train") | places(made, "val") | places(made, "test") == set(
            range(len(y))
        )
        tested += places(made, "test")
    assert sorted(tested) == list(range(len(y)))


def test_classes_are_spread_evenly() -> None:
    y = [0] * 300 + [1] * 40 + [2] * 10
    for fold in range(5):
        made = GROUPED.split(labelled(y), fold=fold, n_folds=5, seed=3)
        counts = {
            split: np.bincount([y[i] for i in places(made, split)], minlength=3).tolist()
            for split in ("train", "val", "test")
        }
        assert counts["test"] == [60, 8, 2]
        assert counts["val"] == [30, 4, 1]


def test_the_rarest_class_validates_only_when_it_still_trains() -> None:
    assert spread(np.array([[1]]), np.array([0.9, 0.1]), seed=0).tolist() == [0]
    assert sorted(spread(np.array([[1], [1]]), np.array([0.9, 0.1]), seed=0)) == [0, 1]


def test_folds_depend_on_the_seed_only() -> None:
    y = [0, 1] * 50
    first, again, other = (
        GROUPED.split(labelled(y), fold=1, n_folds=5, seed=seed).split for seed in (0, 0, 1)
    )
    assert first == again != other


def test_recordings_of_one_patient_on_two_sides_are_said() -> None:
    one_each = labelled([0, 1] * 20)
    by_recording = GroupedFolds(unit="recording", val_fraction=0.2)
    assert by_recording.split(one_each, fold=0, n_folds=5, seed=0).caveat == ""
    shared = labelled([0, 1] * 20, [str(i // 2) for i in range(40)])
    made = by_recording.split(shared, fold=0, n_folds=5, seed=0)
    assert "recordings of one patient lie on several sides" in made.caveat
    assert not made.leaks


def test_copies_stay_together_when_recordings_are_split() -> None:
    copies = [str(i // 2) for i in range(40)]
    shared = labelled([0] * 20 + [1] * 20, copies=copies)
    made = GroupedFolds(unit="recording", val_fraction=0.2).split(shared, fold=0, n_folds=5, seed=0)
    assert all(made.split[2 * k] == made.split[2 * k + 1] for k in range(20))


def test_official_folds_rotate() -> None:
    recordings = labelled([0] * 10, official=list(range(1, 11)))
    made = OfficialFolds().split(recordings, fold=9, n_folds=10, seed=0)
    assert made.split == ("train",) * 8 + ("val", "test")
    made = OfficialFolds().split(recordings, fold=0, n_folds=10, seed=0)
    assert made.split == ("test",) + ("train",) * 8 + ("val",)


def test_independent_draws_leak_and_say_so() -> None:
    made = IndependentDraws(train_fraction=0.8, val_fraction=0.5, test_fraction=0.2).split(
        labelled([0, 1] * 500), fold=0, n_folds=5, seed=0
    )
    assert [len(places(made, split)) for split in ("train", "val", "test")] == [800, 500, 200]
    shared = len(places(made, "test") & places(made, "train"))
    assert 140 < shared < 180
    assert made.leaks
    assert made.caveat.startswith(f"THIS PROTOCOL LEAKS: {shared / 2:.0f}% of the test")


@pytest.mark.parametrize(("fold", "n_folds"), [(5, 5), (-1, 5), (0, 1), (10, 10)])
@pytest.mark.parametrize(
    "protocol",
    [
        GROUPED,
        OfficialFolds(),
        IndependentDraws(train_fraction=0.8, val_fraction=0.5, test_fraction=0.2),
    ],
    ids=lambda protocol: type(protocol).__name__,
)
def test_no_such_fold(protocol: Any, fold: int, n_folds: int) -> None:
    message = rf"dataset\.fold={fold} of dataset\.n_folds={n_folds}: needs two or more folds"
    with pytest.raises(ConfigError, match=message):
        protocol.split(labelled([0, 1] * 10), fold=fold, n_folds=n_folds, seed=0)


def test_fewer_groups_than_folds() -> None:
    with pytest.raises(ConfigError, match=r"n_folds=5: there are only 2 groups to put"):
        GROUPED.split(labelled([0, 1] * 10, ["a", "b"] * 10), fold=0, n_folds=5, seed=0)


@pytest.mark.parametrize(
    ("official", "found"), [([], "no folds"), ([1, 2, 11], "fold 11"), ([0, 1, 2], "fold 0")]
)
def test_data_set_without_the_official_folds(official: list[int], found: str) -> None:
    with pytest.raises(DataError, match=rf"brings {found}, but dataset\.n_folds=10"):
        OfficialFolds().split(labelled([0, 1, 0], official=official), fold=0, n_folds=10, seed=0)


def test_shares_that_make_no_sense() -> None:
    with pytest.raises(ConfigError, match=r"val_fraction=1 must lie between 0 and 1"):
        GroupedFolds(unit="patient", val_fraction=1)
    with pytest.raises(ConfigError, match=r"must lie in 0\.\.1, got 0\.8, 1\.5, 0\.2"):
        IndependentDraws(train_fraction=0.8, val_fraction=1.5, test_fraction=0.2)
