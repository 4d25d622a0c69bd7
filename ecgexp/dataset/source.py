"""From a source of recordings to cached windows: the one path every data set takes."""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from ecgexp.dataset import cache
from ecgexp.dataset.progress import Track
from ecgexp.dataset.splits import (
    check_duplicates,
    check_no_split_is_empty,
    check_patients,
    check_training_classes,
)
from ecgexp.dataset.windows import SPLITS, Plan, Split, WindowSet, cut
from ecgexp.errors import DataError
from ecgexp.preprocessing.chain import Chain
from ecgexp.preprocessing.pixels import FloatPixels
from ecgexp.types import SignalSpec

log = logging.getLogger(__name__)

CACHE_SCHEMA = 2


@dataclass(frozen=True, kw_only=True)
class Identity:
    """What a source would read, found out without reading signals.

    Attributes:
        content: What decides the windows: parameters, checksums. The same on every machine.
        stamp: Signs that a file was touched, such as its time of change; they guard the cache
            against files edited in place but are no part of the fingerprint.
    """

    content: dict[str, Any]
    stamp: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Place:
    """A database on this machine.

    Attributes:
        name: Its name.
        folder: Where its recordings lie.
        n_records: Recordings found there.
        damaged: Recordings found there and passed over, because they were published broken.
    """

    name: str
    folder: Path
    n_records: int
    damaged: tuple[str, ...] = ()


class Source(Protocol):
    """Where recordings come from. A new data set implements these five members."""

    @property
    def name(self) -> str:
        """A word for the cache folder."""
        ...

    def places(self) -> tuple[Place, ...]:
        """Return the databases on this machine; none for recordings that are made up."""
        ...

    def identity(self) -> Identity:
        """Describe what would be read; fast, called at every start."""
        ...

    def plan(self) -> Plan:
        """Decide every window from the annotations."""
        ...

    def signal(self, record: str) -> NDArray[np.floating]:
        """Return a record's signal (lead, sample) in mV."""
        ...


@dataclass(frozen=True, kw_only=True)
class CachedWindows:
    """An opened cache folder.

    Attributes:
        spec: Shape, rate, leads and labels of the windows.
        fingerprint: Identifies the source's content and the preprocessing.
        records: Per split, the names of its records.
        sets: The windows of each split.
        caveat: What a reader of the figures must know of the split; empty when it is clean.
    """

    spec: SignalSpec
    fingerprint: str
    records: dict[Split, tuple[str, ...]]
    sets: dict[Split, WindowSet]
    caveat: str

    def with_lead(self, lead: int) -> CachedWindows:
        """Return the same windows with one of their leads only; nothing is copied."""
        name = self.spec.leads[lead]
        return replace(
            self,
            spec=replace(self.spec, leads=(name,)),
            sets={
                split: replace(windows, x=windows.x[:, lead : lead + 1])
                for split, windows in self.sets.items()
            },
        )


def fingerprint(source: Source, chain: Chain) -> str:
    """Identify the windows that a source and a chain make, without making them."""
    return _keys(source.identity(), chain)[0]


def prepare(source: Source, chain: Chain, cache_dir: Path, *, track: Track) -> CachedWindows:
    """Open the windows of a source and a chain, building them first when they are not cached.

    Args:
        source: Where the recordings come from.
        chain: The preprocessing.
        cache_dir: Folder of all caches.
        track: Wraps the iteration over records to show progress.

    Raises:
        DataError: A recording, a split or the disk does not allow it.
    """
    print_of_content, key = _keys(source.identity(), chain)

    def build(folder: Path) -> None:
        _build(source, chain, folder, track)

    folder = cache.open_or_build(cache_dir, f"{source.name}-{key}", build)
    opened = _open(folder, print_of_content)
    if opened.caveat:
        log.warning("%s: %s", source.name, opened.caveat)
    return opened


def _keys(identity: Identity, chain: Chain) -> tuple[str, str]:
    content = {
        "schema": CACHE_SCHEMA,
        "source": identity.content,
        "preprocessing": chain.describe(),
    }
    return cache.digest(content), cache.digest({"content": content, "stamp": identity.stamp})


def _build(source: Source, chain: Chain, folder: Path, track: Track) -> None:
    plan = source.plan()
    if not plan.leaks:
        check_patients(plan.records, plan.patients, plan.splits)
    check_training_classes(plan.labels, plan.class_counts("train"), may_lack=plan.untaught)
    in_split = np.bincount(plan.split_of_window(), minlength=len(SPLITS)).tolist()
    check_no_split_is_empty(dict(zip(SPLITS, in_split, strict=True)))
    order = np.lexsort((plan.start, plan.record, plan.split_of_window()))
    record, start, y = plan.record[order], plan.start[order], plan.y[order]
    split = plan.split_of_window()[order]
    # A record lies in one split, so that its rows follow one another.
    begins = [0, *(np.flatnonzero(np.diff(record)) + 1).tolist(), len(record)]
    names = [plan.records[index] for index in record[begins[:-1]]]
    guard = _DuplicateGuard(plan)
    fs_hz, shape = plan.fs_hz, (0, 0, 0)
    with cache.RowWriter(folder / "x.npy", len(y)) as x:
        tracked = track(names, f"preparing {source.name}", len(names))
        for _, (begin, end) in zip(tracked, pairwise(begins), strict=True):
            rows, fs_hz = _windows_of(
                source, chain, plan, int(record[begin]), start[begin:end], guard
            )
            shape = rows.shape
            x.append(rows)
    if not plan.leaks:
        guard.check()
    for array_name, values in (("record", record), ("start", start), ("y", y)):
        cache.save_array(folder / f"{array_name}.npy", values)
    meta = {
        "spec": SignalSpec(
            fs_hz=fs_hz,
            leads=plan.leads,
            n_samples=shape[-1],
            labels=plan.labels,
            n_rows=shape[2] if len(shape) == 4 else None,
            features=() if plan.cutter is None else plan.cutter.features,
            several=plan.y.ndim == 2,
        ).to_dict(),
        "records": list(plan.records),
        "patients": list(plan.patients),
        "splits": list(plan.splits),
        "caveat": plan.caveat,
        "bounds": np.searchsorted(split, np.arange(len(SPLITS) + 1)).tolist(),
    }
    cache.save_meta(folder, meta)


def _windows_of(
    source: Source,
    chain: Chain,
    plan: Plan,
    index: int,
    starts: NDArray[np.int64],
    guard: _DuplicateGuard,
) -> tuple[NDArray[np.float32 | np.uint8], float]:
    name = plan.records[index]
    raw = source.signal(name)
    guard.add(index, raw, starts)
    try:
        filtered, fs_hz = chain.apply_record(raw, plan.fs_hz)
        if plan.cutter is not None:
            return chain.stored_window(plan.cutter.cut(name, filtered, fs_hz, starts), fs_hz)
        first = np.round(starts * (fs_hz / plan.fs_hz)).astype(np.int64)
        return chain.stored_window(
            cut(filtered, first, round(plan.window_s * fs_hz), plan.fill), fs_hz
        )
    except DataError as error:
        raise DataError(f"record {name}: {error}") from error


class _DuplicateGuard:
    """Remember digests of raw records and windows; preprocessing would hide shared excerpts."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._length = round(plan.window_s * plan.fs_hz)
        self._records: list[tuple[bytes, str, Split]] = []
        self._windows: list[tuple[bytes, str, Split]] = []

    def add(self, index: int, raw: NDArray[np.floating], starts: NDArray[np.int64]) -> None:
        signal = np.ascontiguousarray(raw, dtype=np.float32)[None]
        windows = np.ascontiguousarray(cut(signal[0], starts, self._length, self._plan.fill))
        name, split = self._plan.records[index], self._plan.splits[index]
        self._records.append((_digests(signal)[0], f"record {name}", split))
        for start, digest in zip(starts, _digests(windows), strict=True):
            where = f"record {name} at {start / self._plan.fs_hz:.3f} s"
            self._windows.append((digest, where, split))

    def check(self) -> None:
        for kind, entries in (("record", self._records), ("window", self._windows)):
            check_duplicates(
                [entry[0] for entry in entries],
                [entry[1] for entry in entries],
                [entry[2] for entry in entries],
                kind=kind,
            )


def _digests(signals: NDArray[np.float32]) -> list[bytes]:
    # A disconnected lead is equal everywhere without being a copy of anything.
    flat = signals.max(axis=(1, 2)) == signals.min(axis=(1, 2))
    return [
        b"" if is_flat else hashlib.sha1(signal.data, usedforsecurity=False).digest()
        for signal, is_flat in zip(signals, flat, strict=True)
    ]


def _open(folder: Path, fingerprint: str) -> CachedWindows:
    try:
        meta = json.loads((folder / cache.META).read_text(encoding="utf-8"))
        x = np.load(folder / "x.npy", mmap_mode="r")
        record, start, y = (np.load(folder / f"{name}.npy") for name in ("record", "start", "y"))
    except (OSError, ValueError) as error:
        raise DataError(
            f"the window cache {folder} is damaged ({error}); delete that folder and start again"
        ) from error
    names = np.array(meta["records"])
    patients = np.array(meta["patients"])
    sets: dict[Split, WindowSet] = {}
    records: dict[Split, tuple[str, ...]] = {}
    for split, (begin, end) in zip(SPLITS, pairwise(meta["bounds"]), strict=True):
        inside = slice(begin, end)
        sets[split] = WindowSet(
            x=_served(x[inside]),
            y=y[inside],
            patient=patients[record[inside]],
            record=names[record[inside]],
            start=start[inside],
        )
        records[split] = tuple(names[np.unique(record[inside])].tolist())
    return CachedWindows(
        spec=SignalSpec.from_dict(meta["spec"]),
        fingerprint=fingerprint,
        records=records,
        sets=sets,
        caveat=meta["caveat"],
    )


def _served(x: NDArray[Any]) -> NDArray[np.float32]:
    # Bytes only look like float32; nobody needs more of an array than FloatPixels has.
    return cast("NDArray[np.float32]", FloatPixels(x)) if x.dtype == np.uint8 else x
