"""Databases of long records annotated beat by beat, such as MIT-BIH and European ST-T."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from ecgexp.dataset.datamodule import EcgDataModule
from ecgexp.dataset.folds import fold_of_group
from ecgexp.dataset.header import Header, lead_position, read_header
from ecgexp.dataset.records import Annotations, read_annotations, read_signal
from ecgexp.dataset.sampling import Sampling
from ecgexp.dataset.source import Identity, Place
from ecgexp.dataset.units import JudgedBy
from ecgexp.dataset.windows import SIMULATED, SPLITS, Cutter, Plan, Split
from ecgexp.errors import ConfigError, DataError
from ecgexp.preprocessing.chain import Chain

log = logging.getLogger(__name__)

MissingLead = Literal["refuse", "leave_out"]
Protocols = Literal["by_patient", "by_window"]
_EXTENSION = "atr"
_LEAKS = (
    "THIS PROTOCOL LEAKS: windows of one recording lie on all sides; its figures say nothing "
    "about new patients"
)


class Task(Protocol):
    """What a window is and what it is called; see `ecgexp.dataset.task` and `window_task`."""

    @property
    def records(self) -> tuple[str, ...]:
        """The records to read."""
        ...

    @property
    def window_s(self) -> float:
        """Length of a window in seconds."""
        ...

    @property
    def labels(self) -> Sequence[str]:
        """The classes in order."""
        ...

    def describe(self) -> dict[str, Any]:
        """Return every parameter as plain containers."""
        ...

    def windows(
        self, header: Header, annotations: Annotations
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return first sample and class of each window of a record."""
        ...

    def cutter(
        self, headers: Sequence[Header], annotations: Sequence[Annotations]
    ) -> Cutter | None:
        """Return what makes the windows; None to cut them as they are."""
        ...

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
        """Return the split of each record, given its windows per class (record, class)."""
        ...


class AnnotatedSource:
    """A database's records, as one task sees them."""

    def __init__(  # noqa: PLR0913 - what the config option says
        self,
        *,
        database: str,
        aliases: Mapping[str | int, str | int],
        task_name: str,
        task: Task,
        lead: str,
        missing_lead: MissingLead,
        protocol: Protocols,
        caveat: str,
        fold: int | None,
        n_folds: int,
        folder: Path | None,
        split_seed: int,
    ) -> None:
        """Keep the parameters; files are looked at later.

        Args:
            database: Name of the database's folder.
            aliases: Record to the other record of the same patient.
            task_name: A word for the cache folder.
            task: What to cut out and how to call it.
            lead: Name of the lead.
            missing_lead: What to do with a record without it.
            protocol: Whether the task splits patients, or windows are split whoever's they are.
            caveat: What is known against the split by patient.
            fold: Which fold is held out, from 0; None for the task's own split.
            n_folds: Number of folds.
            folder: `paths.data`: the folder that holds `database`, or the database's itself.
            split_seed: Seed of the choice of patients.

        Raises:
            ConfigError: Windows are to be split without a fold.
        """
        if protocol == "by_window" and fold is None:
            raise ConfigError("dataset.protocol=by_window needs dataset.fold: 0 for one split")
        self._database = database
        self._aliases = {str(record): str(other) for record, other in aliases.items()}
        self._task_name = task_name
        self._task = task
        self._lead = lead
        self._missing_lead = missing_lead
        self._protocol = protocol
        self._caveat = caveat
        self._fold = fold
        self._n_folds = n_folds
        self._data_dir = folder
        self._split_seed = split_seed

    @property
    def name(self) -> str:
        """A word for the cache folder."""
        return f"{self._database}-{self._task_name}"

    def places(self) -> tuple[Place, ...]:
        """Return the database's folder.

        Raises:
            DataError: It is missing.
        """
        folder = self._folder()
        n_records = len(list(folder.glob("*.hea")))
        return (Place(name=self._database, folder=folder, n_records=n_records),)

    def identity(self) -> Identity:
        """Hash headers and annotations; signals are represented by size and header checksum.

        Raises:
            DataError: The folder or a file is missing.
        """
        folder = self._folder()
        files: dict[str, Any] = {}
        stamp: dict[str, Any] = {}
        for record in self._task.records:
            for extension in ("hea", _EXTENSION, "dat"):
                path = folder / f"{record}.{extension}"
                if not path.is_file():
                    raise DataError(
                        f"{path} is missing; complete the folder with "
                        f"`ecgexp data download dataset={self._database}`"
                    )
                if extension == "dat":
                    status = path.stat()
                    files[path.name], stamp[path.name] = status.st_size, status.st_mtime_ns
                else:
                    files[path.name] = hashlib.sha256(path.read_bytes()).hexdigest()
        content = {
            "kind": self.name,
            "lead": self._lead,
            "split_seed": self._split_seed,
            "aliases": self._aliases,
            "missing_lead": self._missing_lead,
            "protocol": self._protocol,
            "caveat": self._caveat,
            "fold": self._fold,
            "n_folds": self._n_folds,
            "task": self._task.describe(),
            "files": files,
        }
        return Identity(content=content, stamp=stamp)

    def plan(self) -> Plan:
        """Read headers and annotations and decide every window.

        Raises:
            DataError: A header, annotation or split cannot be used.
        """
        headers = self._headers()
        annotations = [read_annotations(item, _EXTENSION) for item in headers]
        found = [
            self._task.windows(item, marks)
            for item, marks in zip(headers, annotations, strict=True)
        ]
        cutter = self._task.cutter(headers, annotations)
        record = np.repeat(np.arange(len(headers)), [len(y) for _, y in found])
        start = np.concatenate([start for start, _ in found])
        y = np.concatenate([y for _, y in found])
        records = tuple(header.name for header in headers)
        patients = tuple(self._aliases.get(name, name) for name in records)
        if self._protocol == "by_window":
            splits, record = self._split_windows(len(records), record, y)
            records, patients = records * len(SPLITS), patients * len(SPLITS)
        else:
            counts = np.zeros((len(records), len(self._task.labels)), dtype=np.int64)
            np.add.at(counts, (record, y), 1)
            splits = self._task.split(
                records,
                patients,
                counts,
                fold=self._fold,
                n_folds=self._n_folds,
                seed=self._split_seed,
            )
        plan = Plan(
            fs_hz=headers[0].fs_hz,
            leads=(self._lead,) if cutter is None else cutter.leads(self._lead),
            labels=tuple(self._task.labels),
            window_s=self._task.window_s,
            records=records,
            patients=patients,
            splits=tuple(splits),
            record=record,
            start=start,
            y=y,
            caveat=_LEAKS if self._protocol == "by_window" else self._caveat,
            leaks=self._protocol == "by_window",
            cutter=cutter,
        )
        return plan if cutter is None else cutter.extend(plan)

    def _headers(self) -> list[Header]:
        headers = [read_header(self._folder(), record) for record in self._task.records]
        if self._missing_lead == "leave_out":
            without = [header.name for header in headers if self._lead not in header.leads]
            if without:
                log.info("left out for want of lead %s: %s", self._lead, ", ".join(without))
            headers = [header for header in headers if self._lead in header.leads]
        if not headers:
            raise DataError(f"no record of {self._database} has lead {self._lead}")
        for header in headers:
            lead_position(header, self._lead)
            if header.fs_hz != headers[0].fs_hz:
                raise DataError(
                    f"record {header.name} is sampled at {header.fs_hz:g} Hz, {headers[0].name} "
                    f"at {headers[0].fs_hz:g} Hz; a data set needs one rate"
                )
        return headers

    def _split_windows(
        self, n_records: int, record: NDArray[np.int64], y: NDArray[np.int64]
    ) -> tuple[list[Split], NDArray[np.int64]]:
        """Test on one fold of the windows and validate on the next."""
        fold = 0 if self._fold is None else self._fold
        one_each = np.eye(len(self._task.labels), dtype=np.int64)[y]
        part = fold_of_group(one_each, self._n_folds, fold, seed=self._split_seed)
        side = np.zeros(len(y), dtype=np.int64)
        side[part == (fold + 1) % self._n_folds] = SPLITS.index("val")
        side[part == fold] = SPLITS.index("test")
        return [split for split in SPLITS for _ in range(n_records)], side * n_records + record

    def signal(self, record: str) -> NDArray[np.float32]:
        """Read the lead of a record (1, sample) in mV; a simulated record has that of its origin.

        Raises:
            DataError: The signal cannot be used.
        """
        origin, _, _ = record.partition(SIMULATED)
        return read_signal(read_header(self._folder(), origin), (self._lead,))

    def _folder(self) -> Path:
        return find_folder(self._data_dir, self._database)


def find_folder(data_dir: Path | None, database: str) -> Path:
    """Return the database's folder: `data_dir/database`, or `data_dir` when it is that itself.

    Raises:
        DataError: Neither holds a record; names the places and the remedies.
    """
    remedy = (
        f"point paths.data (ECGEXP_DATA) to the folder that holds {database}/, or fetch it with "
        f"`ecgexp data download dataset={database}`"
    )
    if data_dir is None:
        raise DataError(f"dataset={database} needs recordings, but paths.data is not set; {remedy}")
    for folder in (data_dir / database, data_dir):
        if folder.is_dir() and next(folder.glob("*.hea"), None) is not None:
            return folder
    raise DataError(
        f"no record of {database} (*.hea) in {data_dir / database} or {data_dir}, which is what "
        f"paths.data points to; {remedy}"
    )


class AnnotatedDataModule(EcgDataModule):
    """Every data set of annotated records, described by its config option."""

    def __init__(  # noqa: PLR0913 - one argument per key of the config option
        self,
        *,
        database: str,
        aliases: dict[str | int, str | int],
        task: str,
        tasks: dict[str, Task],
        lead: str,
        missing_lead: MissingLead,
        protocol: Protocols,
        caveat: str,
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
        """Describe what to learn from the database.

        Args:
            database: Name of the database's folder.
            aliases: Record to the other record of the same patient.
            task: A key of `tasks`.
            tasks: What can be learnt; only the chosen one matters.
            lead: Name of the lead to use.
            missing_lead: `refuse` a record without the lead, or `leave_out` the record.
            protocol: `by_patient`, as the task says, or `by_window`: windows are split whoever's
                they are, which leaks and says so.
            caveat: What is known against the split by patient; empty when it is clean.
            fold: Which fold is held out, from 0: it validates in a task with fixed test records
                and tests in others; null for the task's own split.
            n_folds: Number of folds.
            split_seed: Seed of the choice of patients.
            batch_size: Windows per training batch.
            eval_batch_size: Windows per validation and test batch.
            n_workers: Loader processes; 0 serves from this one.
            sampling: Which training windows make an epoch.
            judged_by: What has one answer in figures: each `window`, or a `record`.
            chain: The preprocessing.
            data_dir: Folder that holds `database`.
            cache_dir: Folder of all window caches.
            seed: Seed of batches and draws.

        Raises:
            ConfigError: The task is unknown.
        """
        if task not in tasks:
            raise ConfigError(f"dataset.task={task!r}: choose one of {', '.join(tasks)}")
        super().__init__(
            source=AnnotatedSource(
                database=database,
                aliases=aliases,
                task_name=task,
                task=tasks[task],
                lead=lead,
                missing_lead=missing_lead,
                protocol=protocol,
                caveat=caveat,
                fold=fold,
                n_folds=n_folds,
                folder=None if data_dir is None else Path(data_dir).expanduser(),
                split_seed=split_seed,
            ),
            chain=chain,
            cache_dir=cache_dir,
            batch_size=batch_size,
            eval_batch_size=eval_batch_size,
            n_workers=n_workers,
            sampling=sampling,
            judged_by=judged_by,
            seed=seed,
        )
