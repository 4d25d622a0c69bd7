"""Data sets whose recordings have a label as a whole: from a folder to planned windows."""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecgexp.dataset.datamodule import EcgDataModule
from ecgexp.dataset.folder import Recording, RecordingFolder
from ecgexp.dataset.folds import Labelled, SplitProtocol
from ecgexp.dataset.labels import LEFT_OUT
from ecgexp.dataset.record_task import RecordTask
from ecgexp.dataset.sampling import Sampling
from ecgexp.dataset.source import Identity, Place
from ecgexp.dataset.units import JudgedBy
from ecgexp.dataset.windows import Fill, Plan, cover
from ecgexp.errors import ConfigError, DataError
from ecgexp.preprocessing.chain import Chain

log = logging.getLogger(__name__)


class CollectionSource:
    """Windows of labelled recordings, in one fold of one protocol."""

    def __init__(  # noqa: PLR0913 - what the config option says
        self,
        *,
        recordings: RecordingFolder,
        task_name: str,
        task: RecordTask,
        leads: Sequence[str],
        window_s: float,
        stride_s: float | None,
        fill: Fill,
        protocol: SplitProtocol,
        fold: int,
        n_folds: int,
        split_seed: int,
    ) -> None:
        """Keep the parameters; files are looked at later.

        Args:
            recordings: The recordings and what is known of them.
            task_name: A word for the cache folder.
            task: What a recording is called.
            leads: Lead names, in channel order.
            window_s: Length of a window in seconds.
            stride_s: Seconds from one window's start to the next; None for one window out of the
                middle of each recording.
            fill: What fills the window of a shorter recording.
            protocol: How recordings are split.
            fold: Which fold tests, from 0.
            n_folds: Number of folds.
            split_seed: Seed of the folds.

        Raises:
            ConfigError: A length is not positive, or there is no lead.
        """
        if window_s <= 0 or (stride_s is not None and stride_s <= 0) or not leads:
            raise ConfigError(
                f"dataset: window_s={window_s:g} and stride_s={stride_s} must be positive, "
                f"leads={list(leads)} must not be empty"
            )
        self._folder = recordings
        self._task_name = task_name
        self._task = task
        self._leads = tuple(leads)
        self._window_s = window_s
        self._stride_s = stride_s
        self._fill: Fill = fill
        self._protocol = protocol
        self._fold = fold
        self._n_folds = n_folds
        self._split_seed = split_seed
        self._by_name: dict[str, Recording] = {}

    @property
    def name(self) -> str:
        """A word for the cache folder."""
        return f"{self._folder.name}-{self._task_name}"

    def places(self) -> tuple[Place, ...]:
        """Return the folder of the recordings.

        Raises:
            DataError: It is missing.
        """
        return (self._folder.place(),)

    def identity(self) -> Identity:
        """Describe the recordings and what is made of them.

        Raises:
            DataError: The folder or a file is missing.
        """
        of_folder = self._folder.identity()
        content = {
            "kind": "collection",
            "folder": of_folder.content,
            "task": self._task.describe(),
            "leads": list(self._leads),
            "window_s": self._window_s,
            "stride_s": self._stride_s,
            "fill": self._fill,
            "protocol": self._protocol.describe(),
            "fold": self._fold,
            "n_folds": self._n_folds,
            "split_seed": self._split_seed,
        }
        return Identity(content=content, stamp=of_folder.stamp)

    def plan(self) -> Plan:
        """Decide every window from labels, lengths and copies.

        Raises:
            DataError: A recording, label or fold cannot be used.
        """
        every = self._folder.recordings()
        encoded = self._task.encode(
            [recording.entry.name for recording in every], [item.labels for item in every]
        )
        kept = np.flatnonzero(encoded != LEFT_OUT if encoded.ndim == 1 else encoded.any(axis=1))
        recordings, y = [every[index] for index in kept], encoded[kept]
        if not recordings:
            raise DataError(
                f"{self._folder.name}: none of {len(every)} recordings shows one of the classes "
                f"{', '.join(self._task.labels)}"
            )
        fs_hz = _one_rate(recordings)
        digests = [self._folder.digests(item) for item in recordings]
        copies = _joined([item.entry.name for item in recordings], digests)
        _tell(recordings, copies)
        assignment = self._protocol.split(
            Labelled(
                y=y,
                n_classes=len(self._task.labels),
                patients=_joined(
                    [item.patient for item in recordings],
                    [(item.patient, *of) for item, of in zip(recordings, digests, strict=True)],
                ),
                copies=copies,
                official=[item.fold for item in recordings if item.fold is not None],
            ),
            fold=self._fold,
            n_folds=self._n_folds,
            seed=self._split_seed,
        )
        self._by_name = {item.entry.name: item for item in recordings}
        length = round(self._window_s * fs_hz)
        stride = None if self._stride_s is None else round(self._stride_s * fs_hz)
        placed = [recordings[index] for index in assignment.recording]
        starts = [cover(item.entry.n_samples, length, stride) for item in placed]
        place = np.repeat(np.arange(len(placed)), [len(start) for start in starts])
        return Plan(
            fs_hz=fs_hz,
            leads=self._leads,
            labels=tuple(self._task.labels),
            window_s=self._window_s,
            records=tuple(item.entry.name for item in placed),
            patients=tuple(assignment.units[index] for index in assignment.recording),
            splits=assignment.split,
            record=place,
            start=np.concatenate(starts),
            y=y[assignment.recording][place],
            fill=self._fill,
            caveat=assignment.caveat,
            leaks=assignment.leaks,
        )

    def signal(self, record: str) -> NDArray[np.float32]:
        """Read the leads of a recording (lead, sample) in mV.

        Raises:
            DataError: The signal cannot be used.
        """
        return self._folder.signal(self._by_name[record], self._leads)


def _one_rate(recordings: Sequence[Recording]) -> float:
    first = recordings[0].entry
    for recording in recordings:
        entry = recording.entry
        if entry.fs_hz != first.fs_hz:
            raise DataError(
                f"record {entry.name} is sampled at {entry.fs_hz:g} Hz, {first.name} at "
                f"{first.fs_hz:g} Hz; a data set needs one rate: resample one, or take it out "
                "with dataset.recordings.left_out"
            )
    return first.fs_hz


def _joined(names: Sequence[str], keys: Sequence[Sequence[Hashable]]) -> tuple[str, ...]:
    """Join recordings that a chain of common keys connects; return their first one's name."""
    parent: dict[Hashable, Hashable] = {}
    name: dict[Hashable, str] = {}

    def root(node: Hashable) -> Hashable:
        while parent.setdefault(node, node) != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    for index, of_recording in enumerate(keys):
        for key in of_recording:
            parent[root(key)] = root(index)
    return tuple(name.setdefault(root(index), names[index]) for index in range(len(names)))


def _tell(recordings: Sequence[Recording], copies: Sequence[str]) -> None:
    pairs = [
        f"{item.entry.name} = {name}"
        for item, name in zip(recordings, copies, strict=True)
        if item.entry.name != name
    ]
    if pairs:
        log.info("%d recordings are copies and stay together: %s", len(pairs), ", ".join(pairs))


class CollectionDataModule(EcgDataModule):
    """Every data set of recordings with a label each, described by its config option."""

    def __init__(  # noqa: PLR0913 - one argument per key of the config option
        self,
        *,
        recordings: Callable[..., RecordingFolder],
        task: str,
        tasks: dict[str, RecordTask],
        leads: list[str],
        window_s: float,
        stride_s: float | None,
        fill: Fill,
        protocol: str,
        protocols: dict[str, SplitProtocol],
        fold: int,
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
        """Describe what to learn from the recordings.

        Args:
            recordings: Makes the folder of recordings, given `data_dir`.
            task: A key of `tasks`.
            tasks: What recordings can be called; only the chosen one matters.
            leads: Lead names, in channel order.
            window_s: Length of a window in seconds.
            stride_s: Seconds from one window's start to the next, the last one ending with the
                recording; null for one window out of the middle of each recording.
            fill: What fills the window of a shorter recording: its `edge` value, or `repeat` the
                recording.
            protocol: A key of `protocols`.
            protocols: Ways to split; only the chosen one matters.
            fold: Which fold tests, from 0.
            n_folds: Number of folds.
            split_seed: Seed of the folds.
            batch_size: Windows per training batch.
            eval_batch_size: Windows per validation and test batch.
            n_workers: Loader processes; 0 serves from this one.
            sampling: Which training windows make an epoch.
            judged_by: What has one answer in figures: each `window`, or a `record`.
            chain: The preprocessing.
            data_dir: `paths.data`.
            cache_dir: Folder of all window caches.
            seed: Seed of batches and draws.

        Raises:
            ConfigError: The task or the protocol is unknown.
        """
        source = CollectionSource(
            recordings=recordings(data_dir=data_dir),
            task_name=task,
            task=_choose(task, tasks, "task"),
            leads=leads,
            window_s=window_s,
            stride_s=stride_s,
            fill=fill,
            protocol=_choose(protocol, protocols, "protocol"),
            fold=fold,
            n_folds=n_folds,
            split_seed=split_seed,
        )
        super().__init__(
            source=source,
            chain=chain,
            cache_dir=cache_dir,
            batch_size=batch_size,
            eval_batch_size=eval_batch_size,
            n_workers=n_workers,
            sampling=sampling,
            judged_by=judged_by,
            seed=seed,
        )


def _choose(name: str, options: dict[str, Any], key: str) -> Any:
    if name not in options:
        raise ConfigError(f"dataset.{key}={name!r}: choose one of {', '.join(options)}")
    return options[name]
