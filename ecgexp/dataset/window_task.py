"""Windows of one length out of annotated records, named by rhythm or by symbols."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecgexp.dataset.folds import split_by_fold
from ecgexp.dataset.header import Header
from ecgexp.dataset.labels import LEFT_OUT, LabelMap
from ecgexp.dataset.records import Annotations
from ecgexp.dataset.splits import split_by_fraction
from ecgexp.dataset.task import sum_by_patient
from ecgexp.dataset.windows import Cutter, Split, tile
from ecgexp.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class WindowTask:
    """Windows of one length, split by patient.

    Attributes:
        length_s: Length of a window in seconds.
        stride_s: Seconds from one window's start to the next.
        classes: Class name to labels of the annotations.
        ignored: Labels that make no class.
        labels: The classes to keep, in order.
        source_records: The records to read.
        val_fraction: Share of the patients for validation.
        test_fraction: Share of the patients for the test.
    """

    length_s: float
    stride_s: float
    classes: Mapping[str, Sequence[str]]
    ignored: Sequence[str]
    labels: Sequence[str]
    source_records: Sequence[str]
    val_fraction: float
    test_fraction: float

    def __post_init__(self) -> None:
        """Refuse a window without length, and a label map that contradicts itself.

        Raises:
            ConfigError: Names the key and the value.
        """
        if min(self.length_s, self.stride_s) <= 0:
            raise ConfigError(
                f"dataset.tasks.window: length_s={self.length_s:g} and "
                f"stride_s={self.stride_s:g} must be positive"
            )
        self.label_map()

    @property
    def records(self) -> tuple[str, ...]:
        """The records to read, as text: YAML reads 100 as a number."""
        return tuple(str(record) for record in self.source_records)

    @property
    def window_s(self) -> float:
        """Length of a window in seconds."""
        return self.length_s

    def describe(self) -> dict[str, Any]:
        """Return every parameter as plain containers."""
        return asdict(self)

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
        """Draw the patients of each split, classes spread alike.

        With a fold, its patients test and `val_fraction` of the others validate.

        Args:
            records: Record names.
            patients: Patient of each record.
            counts: Windows per record and class (record, class).
            fold: Which fold tests, from 0; None to draw `test_fraction`.
            n_folds: Number of folds.
            seed: Seed of the draw.

        Returns:
            The split of each record.
        """
        pool = sorted(set(patients))
        of_pool = sum_by_patient(pool, patients, counts)
        if fold is None:
            of_patient = split_by_fraction(
                of_pool,
                val_fraction=self.val_fraction,
                test_fraction=self.test_fraction,
                seed=seed,
            )
        else:
            of_patient = split_by_fold(
                of_pool, n_folds, fold, val_fraction=self.val_fraction, seed=seed
            )
        chosen = dict(zip(pool, of_patient, strict=True))
        return [chosen[patient] for patient in patients]

    def label_map(self) -> LabelMap:
        """Return the map from labels to classes."""
        return LabelMap(
            key="dataset.tasks.window",
            classes=self.classes,
            ignored=self.ignored,
            labels=self.labels,
        )

    def tiles(self, header: Header) -> tuple[NDArray[np.int64], int]:
        """Return first samples and length of the windows inside a record."""
        length = round(self.length_s * header.fs_hz)
        return tile(header.n_samples, length, round(self.stride_s * header.fs_hz)), length


@dataclass(frozen=True, kw_only=True)
class RhythmTask(WindowTask):
    """Windows that one class of rhythm fills; labels without the bracket of the annotation."""

    def windows(
        self, header: Header, annotations: Annotations
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return first sample and class of each window that one class of rhythm fills.

        Raises:
            DataError: The map does not know a rhythm.
        """
        marks = [
            i
            for i, (symbol, note) in enumerate(
                zip(annotations.symbol, annotations.note, strict=True)
            )
            if symbol == "+" and note.startswith("(")
        ]
        begins = annotations.sample[marks]
        rhythm = self.label_map().encode(
            [annotations.note[i][1:] for i in marks], begins, record=header.name
        )
        starts, length = self.tiles(header)
        first = np.searchsorted(begins, starts, side="right") - 1
        last = np.searchsorted(begins, starts + length - 1, side="right") - 1
        y = np.full(len(starts), LEFT_OUT, dtype=np.int64)
        for window, (i, j) in enumerate(zip(first, last, strict=True)):
            if i >= 0 and np.all(rhythm[i : j + 1] == rhythm[i]):
                y[window] = rhythm[i]
        kept = y != LEFT_OUT
        return starts[kept], y[kept]


@dataclass(frozen=True, kw_only=True)
class SymbolTask(WindowTask):
    """Windows named after a symbol inside.

    A window of usual symbols only belongs to the class of the first of them; any other is named
    after its first symbol that is not that one. A window without a symbol is left out.

    Attributes:
        usual: Symbols that may fill a window without naming it; the first names those windows.
        passed_over: Symbols that are not looked at.
    """

    usual: Sequence[str]
    passed_over: Sequence[str]

    def windows(
        self, header: Header, annotations: Annotations
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return first sample and class of each window.

        Raises:
            DataError: The map does not know a symbol.
        """
        passed = set(self.passed_over)
        kept = [i for i, symbol in enumerate(annotations.symbol) if symbol not in passed]
        symbols = [annotations.symbol[i] for i in kept]
        places = annotations.sample[kept]
        encoded = self.label_map().encode(symbols, places, record=header.name)
        unusual = np.array([symbol not in self.usual for symbol in symbols], dtype=bool)
        naming = np.array([symbol != self.usual[0] for symbol in symbols], dtype=bool)
        plain = self.label_map().encode(self.usual[:1], None, record=header.name)[0]
        starts, length = self.tiles(header)
        first = np.searchsorted(places, starts)
        last = np.searchsorted(places, starts + length)
        y = np.full(len(starts), LEFT_OUT, dtype=np.int64)
        for window, (i, j) in enumerate(zip(first, last, strict=True)):
            if i < j:
                y[window] = encoded[i + naming[i:j].argmax()] if unusual[i:j].any() else plain
        return starts[y != LEFT_OUT], y[y != LEFT_OUT]
