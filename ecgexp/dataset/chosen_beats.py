"""Beats of some classes from some records only, as papers that pick their beats by hand do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ecgexp.dataset.header import Header
from ecgexp.dataset.records import Annotations
from ecgexp.dataset.task import BeatTask
from ecgexp.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class ChosenBeatTask(BeatTask):
    """Beats whose class was chosen from their record.

    Attributes:
        chosen: Class name to the records whose beats of that class are kept.
    """

    chosen: Mapping[str, Sequence[str]]

    def __post_init__(self) -> None:
        """Refuse a class nobody chose records for, and a chosen record that is never read.

        Raises:
            ConfigError: Names the key and the value.
        """
        super().__post_init__()
        missing = sorted(set(self.labels) - set(self.chosen))
        named = {str(record) for records in self.chosen.values() for record in records}
        unread = sorted(named - set(self.records))
        if missing or unread:
            raise ConfigError(
                f"dataset.tasks: chosen says nothing of the classes {missing} and names the "
                f"records {unread}, which are not among train_records and test_records"
            )

    def windows(
        self, header: Header, annotations: Annotations
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return first sample and class of each chosen beat's window.

        Raises:
            DataError: The map does not know a symbol.
        """
        starts, y = super().windows(header, annotations)
        here = [
            header.name in {str(record) for record in self.chosen[label]} for label in self.labels
        ]
        kept = np.array(here, dtype=bool)[y]
        return starts[kept], y[kept]
