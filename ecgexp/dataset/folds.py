"""One way to make folds, shared by every data set whose recordings have one class each."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from ecgexp.dataset.labels import class_rows
from ecgexp.dataset.windows import Split
from ecgexp.errors import ConfigError, DataError

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Labelled:
    """What a protocol may look at: no signal, no figure.

    Attributes:
        y: Class of each recording (recording,), or a 0 or 1 for each (recording, class).
        n_classes: Number of classes.
        patients: Patient of each recording; copies of a recording have one patient.
        copies: The same for all copies of one recording, different otherwise.
        official: Fold that the data set itself gives each recording, counted from 1; empty when
            it gives none.
    """

    y: NDArray[np.int64]
    n_classes: int
    patients: Sequence[str]
    copies: Sequence[str]
    official: Sequence[int]


@dataclass(frozen=True, kw_only=True)
class Assignment:
    """Which recordings lie where.

    Attributes:
        recording: Index of a recording (place,); one that leaks lies in several places.
        split: Split of each place (place,).
        units: What must lie on one side, per recording: patients, or copies of one recording.
        caveat: What a reader of the figures must know; empty when patients are kept apart.
        leaks: Whether the same recording is meant to lie on two sides.
    """

    recording: NDArray[np.int64]
    split: tuple[Split, ...]
    units: tuple[str, ...]
    caveat: str
    leaks: bool


class SplitProtocol(Protocol):
    """Decides what trains, validates and tests in fold `fold` of `n_folds`."""

    def describe(self) -> dict[str, Any]:
        """Return every parameter as plain containers."""
        ...

    def split(self, recordings: Labelled, *, fold: int, n_folds: int, seed: int) -> Assignment:
        """Return where each recording lies."""
        ...


@dataclass(frozen=True, kw_only=True)
class GroupedFolds:
    """Stratified folds of whole groups; fold `fold` tests, a share of the rest validates.

    Attributes:
        unit: What stays together: all recordings of a `patient`, or the copies of one
            `recording`.
        val_fraction: Share of what is not in the test fold for validation.
    """

    unit: Literal["patient", "recording"]
    val_fraction: float

    def __post_init__(self) -> None:
        """Refuse a share that leaves a side empty.

        Raises:
            ConfigError: Names the key and the value.
        """
        if not 0 < self.val_fraction < 1:
            raise ConfigError(
                f"dataset.protocols: val_fraction={self.val_fraction:g} must lie between 0 and 1"
            )

    def describe(self) -> dict[str, Any]:
        """Return every parameter as plain containers."""
        return {"kind": "grouped_folds", **asdict(self)}

    def split(self, recordings: Labelled, *, fold: int, n_folds: int, seed: int) -> Assignment:
        """Test on one of `n_folds` equal parts.

        Raises:
            ConfigError: There is no such fold, or there are fewer groups than folds.
        """
        by_patient = self.unit == "patient"
        units = recordings.patients if by_patient else recordings.copies
        pool, group = np.unique(np.array(units), return_inverse=True)
        counts = np.zeros((len(pool), recordings.n_classes), dtype=np.int64)
        np.add.at(counts, group, class_rows(recordings.y, recordings.n_classes))
        of_group = split_by_fold(counts, n_folds, fold, val_fraction=self.val_fraction, seed=seed)
        together = len(set(recordings.patients)) == len(set(recordings.copies))
        return Assignment(
            recording=np.arange(len(recordings.y)),
            split=tuple(of_group[index] for index in group),
            units=tuple(units),
            caveat="" if by_patient or together else _WITHIN_PATIENT,
            leaks=False,
        )


@dataclass(frozen=True, kw_only=True)
class OfficialFolds:
    """The folds that the data set brings along; fold `fold` tests, the one before validates.

    With 10 folds, `fold` 9 is what PTB-XL recommends: 1 to 8 train, 9 validates, 10 tests.
    """

    def describe(self) -> dict[str, Any]:
        """Return every parameter as plain containers."""
        return {"kind": "official_folds"}

    def split(self, recordings: Labelled, *, fold: int, n_folds: int, seed: int) -> Assignment:
        """Rotate the official folds; a patient, or copies, in several are put in the first's.

        Raises:
            ConfigError: There is no such fold.
            DataError: The data set brings no folds, or other ones.
        """
        _check_fold(fold, n_folds)
        outside = sorted(set(recordings.official) - set(range(1, n_folds + 1)))
        if not recordings.official or outside:
            found = f"fold {outside[0]}" if outside else "no folds"
            raise DataError(
                f"the data set brings {found}, but dataset.n_folds={n_folds} needs 1 to "
                f"{n_folds} for official folds; choose another dataset.protocol or n_folds"
            )
        of_patient: dict[str, int] = {}
        folds = [
            of_patient.setdefault(patient, number)
            for patient, number in zip(recordings.patients, recordings.official, strict=True)
        ]
        moved = sum(a != b for a, b in zip(folds, recordings.official, strict=True))
        if moved:
            log.warning(
                "%d recordings lie in another official fold than a copy of them, or than their "
                "patient: moved to that one",
                moved,
            )
        name: dict[int, Split] = {(fold - 1) % n_folds + 1: "val", fold + 1: "test"}
        return Assignment(
            recording=np.arange(len(recordings.y)),
            split=tuple(name.get(number, "train") for number in folds),
            units=tuple(recordings.patients),
            caveat="",
            leaks=False,
        )


@dataclass(frozen=True, kw_only=True)
class IndependentDraws:
    """Every split drawn from all recordings by itself: most of the test is trained on.

    What preminstrel/ECG-Classification does. It is here to reproduce a published figure.

    Attributes:
        train_fraction: Share of all recordings to train on.
        val_fraction: Share of all recordings to validate on.
        test_fraction: Share of all recordings to test on.
    """

    train_fraction: float
    val_fraction: float
    test_fraction: float

    def __post_init__(self) -> None:
        """Refuse shares outside of 0..1.

        Raises:
            ConfigError: Names the values.
        """
        shares = (self.train_fraction, self.val_fraction, self.test_fraction)
        if min(shares) <= 0 or max(shares) > 1:
            raise ConfigError(
                "dataset.protocols: train_fraction, val_fraction and test_fraction must lie in "
                f"0..1, got {', '.join(f'{share:g}' for share in shares)}"
            )

    def describe(self) -> dict[str, Any]:
        """Return every parameter as plain containers."""
        return {"kind": "independent_draws", **asdict(self)}

    def split(self, recordings: Labelled, *, fold: int, n_folds: int, seed: int) -> Assignment:
        """Draw three times from all recordings; each fold has draws of its own.

        Raises:
            ConfigError: There is no such fold.
        """
        _check_fold(fold, n_folds)
        rng = np.random.default_rng((seed, fold))
        n = len(recordings.y)
        shares: tuple[tuple[Split, float], ...] = (
            ("train", self.train_fraction),
            ("val", self.val_fraction),
            ("test", self.test_fraction),
        )
        drawn = {split: rng.permutation(n)[: round(share * n)] for split, share in shares}
        seen = np.isin(drawn["test"], drawn["train"]).mean()
        return Assignment(
            recording=np.concatenate(list(drawn.values())),
            split=tuple(split for split, places in drawn.items() for _ in places),
            units=tuple(recordings.copies),
            caveat=f"THIS PROTOCOL LEAKS: {seen:.0%} of the test recordings are trained on; its "
            "figures say nothing about new recordings",
            leaks=True,
        )


_WITHIN_PATIENT = (
    "split by recording: recordings of one patient lie on several sides, so that the figures are "
    "about new recordings of known patients"
)


def spread(
    counts: NDArray[np.int64], shares: NDArray[np.float64], *, seed: int
) -> NDArray[np.int64]:
    """Put groups into parts so that each part gets its share of every class.

    Groups that hold much of a rare class are placed first, each where its classes lack most.

    Args:
        counts: Examples per group and class (group, class).
        shares: Wanted share of each part (part,); they add up to 1.
        seed: Seed of the order among groups alike.

    Returns:
        The part of each group (group,). A class with two groups is in the first two parts, so
        that the first of two parts is never the one without.
    """
    weight = counts / np.maximum(counts.sum(axis=0), 1)
    shuffled = np.random.default_rng(seed).permutation(len(counts))
    order = shuffled[np.argsort(-weight[shuffled].sum(axis=1), kind="stable")]
    filled = np.zeros((len(shares), counts.shape[1]))
    part = np.empty(len(counts), dtype=np.int64)
    for group in order:
        lack = (filled @ weight[group]) / shares
        part[group] = lack.argmin()
        filled[part[group]] += weight[group]
    return part


def fold_of_group(
    counts: NDArray[np.int64], n_folds: int, fold: int, *, seed: int
) -> NDArray[np.int64]:
    """Put groups into folds of equal shares of every class.

    Args:
        counts: Examples per group and class (group, class).
        n_folds: Number of folds.
        fold: The fold that will be used, from 0.
        seed: Seed of the order among groups alike.

    Returns:
        The fold of each group (group,).

    Raises:
        ConfigError: There is no such fold, or there are fewer groups than folds.
    """
    _check_fold(fold, n_folds)
    if len(counts) < n_folds:
        raise ConfigError(
            f"dataset.n_folds={n_folds}: there are only {len(counts)} groups to put into folds; "
            "use fewer folds"
        )
    return spread(counts, np.full(n_folds, 1 / n_folds), seed=seed)


def split_by_fold(
    counts: NDArray[np.int64], n_folds: int, fold: int, *, val_fraction: float, seed: int
) -> list[Split]:
    """Test on one fold of groups, validate on a share of the others.

    Args:
        counts: Examples per group and class (group, class).
        n_folds: Number of folds.
        fold: The fold that tests, from 0.
        val_fraction: Share of the groups outside of it for validation.
        seed: Seed of the order among groups alike.

    Returns:
        The split of each group.

    Raises:
        ConfigError: There is no such fold, or there are fewer groups than folds.
    """
    tests = fold_of_group(counts, n_folds, fold, seed=seed) == fold
    splits: list[Split] = ["test" if inside else "train" for inside in tests]
    rest = np.flatnonzero(~tests)
    side = spread(counts[rest], np.array([1 - val_fraction, val_fraction]), seed=seed)
    for group in rest[side == 1]:
        splits[group] = "val"
    return splits


def _check_fold(fold: int, n_folds: int) -> None:
    if n_folds < 2 or not 0 <= fold < n_folds:
        raise ConfigError(
            f"dataset.fold={fold} of dataset.n_folds={n_folds}: needs two or more folds, and a "
            f"fold of 0 to {max(n_folds - 1, 1)}"
        )
