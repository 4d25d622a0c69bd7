"""Splits: nothing on two sides, no class without training examples, same seed same split."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecgexp.dataset.splits import (
    check_duplicates,
    check_patients,
    check_training_classes,
    choose_patients,
    split_by_fraction,
    stratified_draw,
)
from ecgexp.errors import ConfigError, DataError


def test_choice_mirrors_the_classes_and_leaves_each_to_training() -> None:
    counts = np.array([[100, 0, 0]] * 8 + [[90, 10, 0]] * 6 + [[80, 15, 1]] * 2 + [[50, 0, 400]])
    chosen = choose_patients(counts, 4, seed=3, what="n")
    assert len(set(chosen.tolist())) == 4
    assert 16 not in chosen  # holds nearly all of the last class
    assert np.all(counts[chosen].sum(axis=0) > 0)
    assert np.all(np.delete(counts, chosen, axis=0).sum(axis=0) > 0)


def test_choice_depends_on_its_seed_only() -> None:
    counts = np.random.default_rng(0).integers(1, 9, (40, 3))
    first = choose_patients(counts, 6, seed=1, what="n")
    np.testing.assert_array_equal(first, choose_patients(counts, 6, seed=1, what="n"))
    assert first.tolist() != choose_patients(counts, 6, seed=2, what="n").tolist()


def test_a_class_of_one_patient_stays_in_training() -> None:
    counts = np.array([[10, 0], [10, 0], [10, 3], [10, 0]])
    for seed in range(10):
        assert 2 not in choose_patients(counts, 2, seed=seed, what="n")


def test_impossible_choices_are_named() -> None:
    with pytest.raises(ConfigError, match=r"n=2: 2 of 2 patients: needs at least one patient on"):
        choose_patients(np.ones((2, 2), dtype=int), 2, seed=0, what="n=2")
    with pytest.raises(ConfigError, match=r"n=1: no choice of 1 of 2 patients leaves every class"):
        choose_patients(np.array([[1, 0], [0, 1]]), 1, seed=0, what="n=1")
    with pytest.raises(ConfigError, match=r"val_fraction=0.5 and test_fraction=0.6"):
        split_by_fraction(np.ones((9, 2), int), val_fraction=0.5, test_fraction=0.6, seed=0)


@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 99), n_patients=st.integers(24, 60))
def test_fractions_hold_for_patients_and_classes(seed: int, n_patients: int) -> None:
    y = np.arange(n_patients) % 3
    counts = np.eye(3, dtype=np.int64)[y] * 5
    splits = np.array(split_by_fraction(counts, val_fraction=0.2, test_fraction=0.25, seed=seed))
    assert abs(np.mean(splits == "test") - 0.25) < 0.05
    assert abs(np.mean(splits == "val") - 0.2) < 0.05
    for split in ("train", "val", "test"):
        assert set(y[splits == split]) == {0, 1, 2}


def test_leaks_are_named() -> None:
    check_patients(["1", "2", "3"], ["a", "a", "b"], ["train", "train", "test"])
    with pytest.raises(DataError, match=r"patient a lies in two splits: record 1 in train, .* 2"):
        check_patients(["1", "2"], ["a", "a"], ["train", "test"])
    check_duplicates([b"x", b"x", b"", b""], list("1234"), ["val", "val", "val", "test"], kind="k")
    with pytest.raises(DataError, match=r"same k lies in two splits: 1 in train and 2 in test"):
        check_duplicates([b"x", b"x"], ["1", "2"], ["train", "test"], kind="k")


def test_empty_training_classes_are_named() -> None:
    check_training_classes(["a", "b"], [1, 1])
    with pytest.raises(DataError, match=r"class b, c has no training example .*a 3, b 0, c 0"):
        check_training_classes(["a", "b", "c"], [3, 0, 0])


def test_draw_is_even_and_seeded() -> None:
    y = np.array([0] * 1000 + [1] * 30 + [2] * 3)
    drawn = stratified_draw(y, 33, seed=1)
    np.testing.assert_array_equal(np.bincount(y[drawn]), [15, 15, 3])
    np.testing.assert_array_equal(drawn, stratified_draw(y, 33, seed=1))
    assert drawn.tolist() != stratified_draw(y, 33, seed=2).tolist()
    assert len(set(drawn.tolist())) == 33
    with pytest.raises(ConfigError, match=r"asked for 2000 windows of a split that has 1033"):
        stratified_draw(y, 2000, seed=1)
