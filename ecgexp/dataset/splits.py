"""Decide which patients train, validate and test, and prove that nothing lies on two sides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from ecgexp.dataset.windows import Split
from ecgexp.errors import ConfigError, DataError

_CANDIDATES = 2000


def choose_patients(
    counts: NDArray[np.int64], n_chosen: int, *, seed: int, what: str
) -> NDArray[np.int64]:
    """Choose patients whose classes mirror those of all, leaving every class to the others.

    Draws subsets at random and keeps the one whose share of each class is nearest to its share of
    the patients. A class too rare to be on both sides stays with those not chosen.

    Args:
        counts: Windows per patient and class (patient, class).
        n_chosen: Patients to choose.
        seed: Seed of the draw.
        what: Name of the config key behind `n_chosen`, for the message.

    Returns:
        Sorted indices of the chosen patients.

    Raises:
        ConfigError: Not every class can keep an example outside of the choice.
    """
    n_patients = len(counts)
    if not 0 < n_chosen < n_patients:
        raise ConfigError(
            f"{what}: {n_chosen} of {n_patients} patients: needs at least one patient on each side"
        )
    total = counts.sum(axis=0)
    present = total > 0
    draws = np.random.default_rng(seed).random((_CANDIDATES, n_patients))
    chosen = np.argsort(draws, axis=1)[:, :n_chosen]
    taken = counts[chosen].sum(axis=1)[:, present]
    share = taken / total[present]
    # A class without any chosen example is worse than any distance between shares.
    cost = np.square(share - n_chosen / n_patients).sum(axis=1) + 10.0 * (taken == 0).sum(axis=1)
    cost[(taken == total[present]).any(axis=1)] = np.inf
    best = int(cost.argmin())
    if np.isinf(cost[best]):
        raise ConfigError(
            f"{what}: no choice of {n_chosen} of {n_patients} patients leaves every class a "
            "training example; choose fewer patients or merge the rarest class"
        )
    return np.sort(chosen[best])


def split_by_fraction(
    counts: NDArray[np.int64], *, val_fraction: float, test_fraction: float, seed: int
) -> list[Split]:
    """Give each patient a split, with the classes spread alike.

    Args:
        counts: Windows per patient and class (patient, class).
        val_fraction: Share of the patients for validation.
        test_fraction: Share of the patients for the test.
        seed: Seed of the draw.

    Returns:
        The split of each patient.

    Raises:
        ConfigError: The shares leave a split or a class of the training split empty.
    """
    if min(val_fraction, test_fraction) <= 0 or val_fraction + test_fraction >= 1:
        raise ConfigError(
            f"dataset: val_fraction={val_fraction:g} and test_fraction={test_fraction:g}: "
            "both must be positive and leave something to train on"
        )
    n_patients = len(counts)
    splits: list[Split] = ["train"] * n_patients
    left = np.arange(n_patients)
    for split, fraction in (("test", test_fraction), ("val", val_fraction)):
        n_chosen = max(1, round(fraction * n_patients))
        what = f"dataset.{split}_fraction={fraction:g}"
        chosen = choose_patients(counts[left], n_chosen, seed=seed, what=what)
        for patient in left[chosen]:
            splits[patient] = "test" if split == "test" else "val"
        left = np.delete(left, chosen)
    return splits


def check_patients(
    records: Sequence[str], patients: Sequence[str], splits: Sequence[Split]
) -> None:
    """Refuse a patient, or a record, that lies in two splits.

    Args:
        records: Record names.
        patients: Patient of each record.
        splits: Split of each record.

    Raises:
        DataError: Names the patient, its records and the splits.
    """
    for kind, keys in (("record", records), ("patient", patients)):
        seen: dict[str, tuple[str, Split]] = {}
        for key, record, split in zip(keys, records, splits, strict=True):
            other, other_split = seen.setdefault(key, (record, split))
            if split != other_split:
                raise DataError(
                    f"{kind} {key} lies in two splits: record {other} in {other_split}, record "
                    f"{record} in {split}; take one of the two records out of the split lists"
                )


def check_duplicates(
    digests: Sequence[bytes], where: Sequence[str], splits: Sequence[Split], *, kind: str
) -> None:
    """Refuse the same signal in two splits.

    Args:
        digests: Digest of each signal; an empty one takes no part (a signal without content).
        where: Place of each signal, for the message.
        splits: Split of each signal.
        kind: What the signals are: `record` or `window`.

    Raises:
        DataError: Names both places and splits.
    """
    seen: dict[bytes, int] = {}
    for position, digest in enumerate(digests):
        first = seen.setdefault(digest, position) if digest else position
        if splits[first] != splits[position]:
            raise DataError(
                f"the same {kind} lies in two splits: {where[first]} in {splits[first]} and "
                f"{where[position]} in {splits[position]} hold identical samples; take one of "
                "them out of the split lists"
            )


def check_no_split_is_empty(windows: Mapping[Split, int]) -> None:
    """Refuse a split without windows.

    Args:
        windows: Windows of each split.

    Raises:
        DataError: Names the empty split.
    """
    empty = [split for split, count in windows.items() if count == 0]
    if empty:
        table = ", ".join(f"{split} {count}" for split, count in windows.items())
        raise DataError(
            f"split {empty[0]} has no window ({table}): there are too few recordings or patients "
            "for these shares; use fewer folds, a larger val_fraction, or more recordings"
        )


def check_training_classes(
    labels: Sequence[str], counts: Sequence[int], *, may_lack: Sequence[str] = ()
) -> None:
    """Refuse a class that the training split has no example of.

    Args:
        labels: Class names.
        counts: Training windows of each class.
        may_lack: Classes that are allowed to have none.

    Raises:
        DataError: Names every empty class.
    """
    empty = [
        label
        for label, count in zip(labels, counts, strict=True)
        if count == 0 and label not in may_lack
    ]
    if empty:
        table = ", ".join(f"{label} {count}" for label, count in zip(labels, counts, strict=True))
        raise DataError(
            f"class {', '.join(empty)} has no training example (training windows: {table}); take "
            "it out of the dataset's labels, merge it in the label map, or add training records"
        )


def stratified_draw(y: NDArray[np.int64], n: int, *, seed: int) -> NDArray[np.int64]:
    """Draw windows with the classes, or sets of classes, as evenly as they allow.

    Args:
        y: Class of each window (window,), or a 0 or 1 for each (window, class).
        n: Windows to draw.
        seed: Seed of the draw.

    Returns:
        Sorted indices of `n` different windows.

    Raises:
        ConfigError: There are fewer than `n` windows.
    """
    if not 0 < n <= len(y):
        raise ConfigError(f"asked for {n} windows of a split that has {len(y)}")
    rng = np.random.default_rng(seed)
    shuffled = rng.permutation(len(y))
    rank = np.empty(len(y), dtype=np.int64)
    _, kind = np.unique(y, axis=0, return_inverse=True)
    for number in range(kind.max() + 1):
        of_class = shuffled[kind[shuffled] == number]
        rank[of_class] = np.arange(len(of_class))
    # By rank inside the class: first one of each class, then a second of each, and so on.
    order = shuffled[np.argsort(rank[shuffled], kind="stable")]
    return np.sort(order[:n])
