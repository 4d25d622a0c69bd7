"""Beats with their context, on a fixed split of records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ecgexp.dataset.context import BeatContext, check_window
from ecgexp.dataset.context_cutter import Beats, ContextCutter
from ecgexp.dataset.header import Header
from ecgexp.dataset.labels import LEFT_OUT, LabelMap
from ecgexp.dataset.records import Annotations
from ecgexp.dataset.simulated_beats import Simulation
from ecgexp.dataset.task import BeatTask
from ecgexp.dataset.windows import Split
from ecgexp.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class BeatContextTask(BeatTask):
    """One window around every annotated beat that tells of the beats before it.

    Attributes:
        context: What a window tells.
        simulations: Name to what is made out of training records, for training only.
        val_records: Training records to validate on when there is no fold, instead of
            `n_val_patients` drawn ones; empty to draw.
    """

    context: BeatContext
    simulations: Mapping[str, Simulation]
    val_records: Sequence[str]

    def __post_init__(self) -> None:
        """Refuse windows that are too short, and a validation record that is not trained on.

        Raises:
            ConfigError: Names the key and the value.
        """
        super().__post_init__()
        check_window(self.before_s, self.after_s)
        foreign = _texts(self.val_records) - _texts(self.train_records)
        if foreign:
            raise ConfigError(
                f"dataset.tasks: val_records {', '.join(sorted(foreign))} are not among "
                "train_records"
            )
        for name, simulation in self.simulations.items():
            # A shorter list of training records uses fewer simulations; test records make none.
            tested = _texts(simulation.records) & _texts(self.test_records)
            if tested:
                raise ConfigError(
                    f"dataset.tasks: simulations.{name}.records {', '.join(sorted(tested))} are "
                    "among test_records"
                )

    def cutter(
        self, headers: Sequence[Header], annotations: Sequence[Annotations]
    ) -> ContextCutter:
        """Return how windows are cut: every beat counts as past, of whatever class it is."""
        every = LabelMap(
            key="dataset.tasks.beat",
            classes=self.classes,
            ignored=self.ignored,
            labels=tuple(self.classes),
        )
        names = np.array(list(self.classes))
        beats: dict[str, Beats] = {}
        for header, found in zip(headers, annotations, strict=True):
            y = every.encode(found.symbol, found.sample, record=header.name)
            before = round(self.before_s * header.fs_hz)
            kept = y != LEFT_OUT
            beats[header.name] = Beats(start=found.sample[kept] - before, label=names[y[kept]])
        return ContextCutter(
            context=self.context,
            simulations=self.simulations,
            before_s=self.before_s,
            window_s=self.window_s,
            fs_hz=headers[0].fs_hz,
            beats=beats,
        )

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
        """Validate on `val_records`, on a fold, or on drawn patients; see `BeatTask.split`."""
        if fold is not None or not self.val_records:
            return super().split(records, patients, counts, fold=fold, n_folds=n_folds, seed=seed)
        n_train = len(self.train_records)
        validation = {
            patient
            for name, patient in zip(records, patients, strict=True)
            if name in {str(record) for record in self.val_records}
        }
        return [
            "test" if index >= n_train else "val" if patient in validation else "train"
            for index, patient in enumerate(patients)
        ]


def _texts(records: Sequence[str]) -> set[str]:
    return {str(record) for record in records}  # YAML reads a record's name as a number
