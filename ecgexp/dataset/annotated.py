"""The MIT-BIH Arrhythmia Database: 48 half-hour records, annotated beat by beat."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ecgexp.dataset.datamodule import EcgDataModule
from ecgexp.dataset.header import Header, lead_position, read_header
from ecgexp.dataset.records import Annotations, read_annotations, read_signal
from ecgexp.dataset.source import Identity
from ecgexp.dataset.windows import Plan, Split
from ecgexp.errors import ConfigError, DataError
from ecgexp.preprocessing.chain import Chain

# Records 201 and 202 are the same man, says the database's own directory.
PATIENT_OF_RECORD = {"202": "201"}
_EXTENSION = "atr"


class Task(Protocol):
    """What a window is and what it is called; see `ecgexp.dataset.task`."""

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

    def split(
        self,
        records: Sequence[str],
        patients: Sequence[str],
        counts: NDArray[np.int64],
        seed: int,
    ) -> list[Split]:
        """Return the split of each record, given its windows per class (record, class)."""
        ...


class MitdbSource:
    """The database's records, as one task sees them."""

    def __init__(
        self, *, task_name: str, task: Task, lead: str, folder: Path | None, split_seed: int
    ) -> None:
        """Keep the parameters; files are looked at later.

        Args:
            task_name: A word for the cache folder.
            task: What to cut out and how to call it.
            lead: Name of the lead.
            folder: `paths.data`: the folder that holds `mitdb`, or the database's folder itself.
            split_seed: Seed of the choice of patients.
        """
        self._task_name = task_name
        self._task = task
        self._lead = lead
        self._data_dir = folder
        self._split_seed = split_seed

    @property
    def name(self) -> str:
        """A word for the cache folder."""
        return f"mitdb-{self._task_name}"

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
                        "`ecgexp data download dataset=mitdb`"
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
            "task": self._task.describe(),
            "files": files,
        }
        return Identity(content=content, stamp=stamp)

    def plan(self) -> Plan:
        """Read headers and annotations and decide every window.

        Raises:
            DataError: A header, annotation or split cannot be used.
        """
        folder = self._folder()
        records = self._task.records
        headers = [read_header(folder, record) for record in records]
        starts: list[NDArray[np.int64]] = []
        classes: list[NDArray[np.int64]] = []
        for header in headers:
            lead_position(header, self._lead)
            if header.fs_hz != headers[0].fs_hz:
                raise DataError(
                    f"record {header.name} is sampled at {header.fs_hz:g} Hz, {headers[0].name} "
                    f"at {headers[0].fs_hz:g} Hz; a data set needs one rate"
                )
            start, y = self._task.windows(header, read_annotations(header, _EXTENSION))
            starts.append(start)
            classes.append(y)
        n_classes = len(self._task.labels)
        counts = np.array([np.bincount(y, minlength=n_classes) for y in classes])
        patients = tuple(PATIENT_OF_RECORD.get(record, record) for record in records)
        return Plan(
            fs_hz=headers[0].fs_hz,
            leads=(self._lead,),
            labels=tuple(self._task.labels),
            window_s=self._task.window_s,
            records=records,
            patients=patients,
            splits=tuple(self._task.split(records, patients, counts, self._split_seed)),
            record=np.repeat(np.arange(len(records)), [len(y) for y in classes]),
            start=np.concatenate(starts),
            y=np.concatenate(classes),
        )

    def signal(self, record: str) -> NDArray[np.float32]:
        """Read the lead of a record (1, sample) in mV.

        Raises:
            DataError: The signal cannot be used.
        """
        return read_signal(read_header(self._folder(), record), (self._lead,))

    def _folder(self) -> Path:
        return find_folder(self._data_dir)


def find_folder(data_dir: Path | None) -> Path:
    """Return the database's folder: `data_dir/mitdb`, or `data_dir` when it is that itself.

    Raises:
        DataError: Neither holds a record; names the places and the remedies.
    """
    remedy = (
        "point paths.data (ECGEXP_DATA) to the folder that holds mitdb/, or fetch it with "
        "`ecgexp data download dataset=mitdb`"
    )
    if data_dir is None:
        raise DataError(f"dataset=mitdb needs recordings, but paths.data is not set; {remedy}")
    for folder in (data_dir / "mitdb", data_dir):
        if folder.is_dir() and next(folder.glob("*.hea"), None) is not None:
            return folder
    raise DataError(
        f"no MIT-BIH record (*.hea) in {data_dir / 'mitdb'} or {data_dir}, which is what "
        f"paths.data points to; {remedy}"
    )


class MitdbDataModule(EcgDataModule):
    """`dataset=mitdb`."""

    def __init__(  # noqa: PLR0913 - one argument per key of the config option
        self,
        *,
        task: str,
        tasks: dict[str, Task],
        lead: str,
        split_seed: int,
        batch_size: int,
        eval_batch_size: int,
        n_workers: int,
        chain: Chain,
        data_dir: Path | None,
        cache_dir: Path,
        seed: int,
    ) -> None:
        """Describe what to learn from the database.

        Args:
            task: A key of `tasks`.
            tasks: What can be learnt; only the chosen one matters.
            lead: Name of the lead to use.
            split_seed: Seed of the choice of patients.
            batch_size: Windows per training batch.
            eval_batch_size: Windows per validation and test batch.
            n_workers: Loader processes; 0 serves from this one.
            chain: The preprocessing.
            data_dir: Folder that holds `mitdb`.
            cache_dir: Folder of all window caches.
            seed: Seed of batches and draws.

        Raises:
            ConfigError: The task is unknown.
        """
        if task not in tasks:
            raise ConfigError(f"dataset.task={task!r}: choose one of {', '.join(tasks)}")
        super().__init__(
            source=MitdbSource(
                task_name=task,
                task=tasks[task],
                lead=lead,
                folder=None if data_dir is None else Path(data_dir).expanduser(),
                split_seed=split_seed,
            ),
            chain=chain,
            cache_dir=cache_dir,
            batch_size=batch_size,
            eval_batch_size=eval_batch_size,
            n_workers=n_workers,
            seed=seed,
        )
