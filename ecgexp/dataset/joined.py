"""Several databases of annotated records learnt as one, at one sampling rate."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ecgexp.dataset.annotated import AnnotatedSource, Protocols
from ecgexp.dataset.datamodule import EcgDataModule
from ecgexp.dataset.sampling import Sampling
from ecgexp.dataset.source import Identity, Place
from ecgexp.dataset.units import JudgedBy
from ecgexp.dataset.windows import Plan
from ecgexp.errors import ConfigError, DataError
from ecgexp.preprocessing.chain import Chain
from ecgexp.preprocessing.resample import resample

log = logging.getLogger(__name__)


class JoinedSource:
    """The windows of several sources with the same classes, one after the other."""

    def __init__(
        self,
        *,
        name: str,
        parts: Sequence[AnnotatedSource],
        absent: Sequence[str],
        untaught: Sequence[str],
    ) -> None:
        """Keep the parts.

        Args:
            name: A word for the cache folder.
            parts: The databases; the first one decides the sampling rate.
            absent: Databases that belong here and are not on this machine.
            untaught: Classes that need no training window, because only those have them.
        """
        self._name = name
        self._parts = tuple(parts)
        self._absent = tuple(absent)
        self._untaught = tuple(untaught)
        self._owner: dict[str, tuple[AnnotatedSource, float, float]] = {}

    @property
    def name(self) -> str:
        """A word for the cache folder."""
        return self._name

    def places(self) -> tuple[Place, ...]:
        """Return the folder of every part.

        Raises:
            DataError: One is missing.
        """
        return tuple(place for part in self._parts for place in part.places())

    def identity(self) -> Identity:
        """Describe what all parts would read.

        Raises:
            DataError: A folder or a file is missing.
        """
        found = {part.name: part.identity() for part in self._parts}
        content = {name: identity.content for name, identity in found.items()}
        return Identity(
            content={"parts": content, "absent": self._absent, "untaught": self._untaught},
            stamp={name: identity.stamp for name, identity in found.items()},
        )

    def plan(self) -> Plan:
        """Decide every window; each part splits its own records.

        Raises:
            DataError: A part cannot be used, or two have a record of the same name.
        """
        plans = [part.plan() for part in self._parts]
        first = plans[0]
        for part, plan in zip(self._parts, plans, strict=True):
            for record in dict.fromkeys(plan.records):
                if record in self._owner and self._owner[record][0] is not part:
                    raise DataError(f"{self._name}: two databases have a record {record}")
                self._owner[record] = (part, plan.fs_hz, first.fs_hz)
        offset = np.cumsum([0, *(len(plan.records) for plan in plans[:-1])])
        caveats = [plan.caveat for plan in plans]
        if self._absent:
            caveats.append(
                f"{', '.join(self._absent)} is not on this machine: there may be no window of "
                f"{', '.join(self._untaught)}"
            )
        return replace(
            first,
            leads=("/".join(dict.fromkeys(lead for plan in plans for lead in plan.leads)),),
            records=sum((plan.records for plan in plans), ()),
            patients=sum((plan.patients for plan in plans), ()),
            splits=sum((plan.splits for plan in plans), ()),
            record=np.concatenate([p.record + o for p, o in zip(plans, offset, strict=True)]),
            start=np.concatenate(
                [np.round(p.start * (first.fs_hz / p.fs_hz)).astype(np.int64) for p in plans]
            ),
            y=np.concatenate([plan.y for plan in plans]),
            caveat="; ".join(dict.fromkeys(text for text in caveats if text)),
            leaks=any(plan.leaks for plan in plans),
            untaught=self._untaught if self._absent else (),
        )

    def signal(self, record: str) -> NDArray[np.floating]:
        """Read a record (1, sample) in mV at the common rate.

        Raises:
            DataError: The signal cannot be used.
        """
        part, from_hz, to_hz = self._owner[record]
        return resample(part.signal(record), from_hz, to_hz=to_hz)[0]


class JoinedDataModule(EcgDataModule):
    """Databases of annotated records as one data set, described by its config option."""

    def __init__(  # noqa: PLR0913 - one argument per key of the config option
        self,
        *,
        name: str,
        databases: dict[str, Callable[..., AnnotatedSource]],
        optional: list[str],
        untaught: list[str],
        protocol: Protocols,
        fold: int | None,
        n_folds: int,
        split_seed: int,
        batch_size: int,
        eval_batch_size: int,
        n_workers: int,
        sampling: Sampling,
        judged_by: JudgedBy,
        chain: Chain,
        data_dir: Path | None,
        cache_dir: Path,
        seed: int,
    ) -> None:
        """Describe what to learn from the databases.

        Args:
            name: A word for the cache folder.
            databases: Folder name to what makes its source.
            optional: Databases that may be missing.
            untaught: Classes that may then lack windows; the network keeps an output for them.
            protocol: `by_patient`, as the task says, or `by_window`: windows are split whoever's
                they are, which leaks and says so.
            fold: Which fold tests, from 0; null for the tasks' own split.
            n_folds: Number of folds.
            split_seed: Seed of the choice of patients.
            batch_size: Windows per training batch.
            eval_batch_size: Windows per validation and test batch.
            n_workers: Loader processes; 0 serves from this one.
            sampling: Which training windows make an epoch.
            judged_by: What has one answer in figures: each `window`, or a `record`.
            chain: The preprocessing.
            data_dir: Folder that holds the databases' folders.
            cache_dir: Folder of all window caches.
            seed: Seed of batches and draws.

        Raises:
            ConfigError: `optional` names something else than databases, or all of them.
        """
        if not set(optional) < set(databases):
            raise ConfigError(
                f"dataset.optional={optional}: name some, not all, of {', '.join(databases)}"
            )
        folder = None if data_dir is None else Path(data_dir).expanduser()
        absent = [
            key for key in optional if folder is None or not any((folder / key).glob("*.hea"))
        ]
        if absent:
            log.warning("%s: going on without %s", name, ", ".join(absent))
        parts = [
            make(
                database=key,
                protocol=protocol,
                fold=fold,
                n_folds=n_folds,
                folder=folder,
                split_seed=split_seed,
            )
            for key, make in databases.items()
            if key not in absent
        ]
        super().__init__(
            source=JoinedSource(name=name, parts=parts, absent=absent, untaught=untaught),
            chain=chain,
            cache_dir=cache_dir,
            batch_size=batch_size,
            eval_batch_size=eval_batch_size,
            n_workers=n_workers,
            sampling=sampling,
            judged_by=judged_by,
            seed=seed,
        )
