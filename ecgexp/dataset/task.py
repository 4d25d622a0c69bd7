"""Beats out of annotated records, on a fixed split of records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecgexp.dataset.folds import fold_of_group
from ecgexp.dataset.header import Header
from ecgexp.dataset.labels import LEFT_OUT, LabelMap
from ecgexp.dataset.records import Annotations
from ecgexp.dataset.splits import choose_patients
from ecgexp.dataset.windows import Cutter, Split
from ecgexp.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class BeatTask:
    """One window around every annotated beat, on a fixed split of records.

    Attributes:
        before_s: Seconds from the window's start to the beat.
        after_s: Seconds from the beat to the window's end.
        classes: Class name to beat symbols.
        ignored: Symbols that are no beats.
        labels: The classes to keep, in order.
        train_records: Records to train on; validation patients are taken out of them.
        test_records: Records to test on.
        n_val_patients: Patients of `train_records` to validate on.
    """

    before_s: float
    after_s: float
    classes: Mapping[str, Sequence[str]]
    ignored: Sequence[str]
    labels: Sequence[str]
    train_records: Sequence[str]
    test_records: Sequence[str]
    n_val_patients: int

    def __post_init__(self) -> None:
        """Refuse a window without length, and a label map that contradicts itself.

        Raises:
            ConfigError: Names the key and the value.
        """
        if min(self.before_s, self.after_s) < 0 or self.window_s <= 0:
            raise ConfigError(
                f"dataset.tasks.beat: before_s={self.before_s:g} and after_s={self.after_s:g} "
                "must not be negative, and not both zero"
            )
        self._map()

    @property
    def records(self) -> tuple[str, ...]:
        """The records to read, as text: YAML reads 100 as a number."""
        return tuple(str(record) for record in (*self.train_records, *self.test_records))

    @property
    def window_s(self) -> float:
        """Length of a window in seconds."""
        return self.before_s + self.after_s

    def describe(self) -> dict[str, Any]:
        """Return every parameter as plain containers."""
        return asdict(self)

    def windows(
        self, header: Header, annotations: Annotations
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return first sample and class of each beat's window.

        Beats near the ends of the record are kept, so that counts can be compared with published
        ones; what lies outside repeats the edge.

        Raises:
            DataError: The map does not know a symbol.
        """
        y = self._map().encode(annotations.symbol, annotations.sample, record=header.name)
        kept = y != LEFT_OUT
        before = round(self.before_s * header.fs_hz)
        return annotations.sample[kept] - before, y[kept]

    def cutter(
        self, headers: Sequence[Header], annotations: Sequence[Annotations]
    ) -> Cutter | None:
        """Return None: windows are cut as they are."""
        return None

    def split(
        self,
        records: Sequence[str],
        patients: Sequence[str],
        counts: NDArray[np.int64],
        *,
        fold: int | None,
        n_folds: int,
        seed: int,
    ) -> list[Split]:
        """Test on the test records; draw validation patients out of the training records.

        With a fold, the patients of that fold of the training records validate instead: choices
        made over all folds look at training records only.

        Args:
            records: Record names, training records first.
            patients: Patient of each record.
            counts: Windows per record and class (record, class).
            fold: Which fold validates, from 0; None to draw `n_val_patients`.
            n_folds: Number of folds.
            seed: Seed of the draw.

        Returns:
            The split of each record.
        """
        n_train = len(self.train_records)
        splits: list[Split] = ["train" for _ in records]
        splits[n_train:] = ["test" for _ in records[n_train:]]
        pool = sorted(set(patients[:n_train]))
        of_patient = sum_by_patient(pool, patients[:n_train], counts[:n_train])
        if fold is not None:
            chosen = np.flatnonzero(fold_of_group(of_patient, n_folds, fold, seed=seed) == fold)
        else:
            chosen = choose_patients(
                of_patient,
                self.n_val_patients,
                seed=seed,
                what=f"dataset.tasks.beat.n_val_patients={self.n_val_patients}",
            )
        validation = {pool[index] for index in chosen}
        for index in range(n_train):
            if patients[index] in validation:
                splits[index] = "val"
        return splits

    def _map(self) -> LabelMap:
        return LabelMap(
            key="dataset.tasks.beat",
            classes=self.classes,
            ignored=self.ignored,
            labels=self.labels,
        )


def sum_by_patient(
    pool: Sequence[str], patients: Sequence[str], counts: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Sum windows per record and class to windows per patient of `pool` and class."""
    total = np.zeros((len(pool), counts.shape[1]), dtype=np.int64)
    np.add.at(total, [pool.index(patient) for patient in patients], counts)
    return total
