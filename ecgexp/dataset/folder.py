"""A folder of recordings, each with labels, a patient and perhaps a fold."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecgexp.dataset.lookup import Found, Lookup
from ecgexp.dataset.reader import Entry, Reader
from ecgexp.dataset.source import Identity, Place
from ecgexp.errors import DataError


@dataclass(frozen=True, kw_only=True)
class Recording:
    """One recording and what is known of it.

    Attributes:
        entry: Name, file, rate and length.
        labels: What the data set says it shows.
        patient: Whose it is.
        fold: Fold that the data set gives it, None without.
    """

    entry: Entry
    labels: tuple[str, ...]
    patient: str
    fold: int | None


class RecordingFolder:
    """Files that a glob finds in the first of some places, and the lookups that describe them."""

    def __init__(  # noqa: PLR0913 - one argument per key of the config option
        self,
        *,
        name: str,
        places: Sequence[str],
        glob: str,
        reader: Reader,
        labels: Lookup,
        patients: Lookup | None,
        folds: Lookup | None,
        aliases: Mapping[str | int, str | int],
        left_out: Sequence[str],
        data_dir: Path | None,
        damaged: Sequence[str] = (),
    ) -> None:
        """Keep the parameters; files are looked at later.

        Args:
            name: A word for messages and the cache folder.
            places: Folders below `paths.data` that may hold the recordings, best first; `.` for
                `paths.data` itself.
            glob: What finds recordings below the place, for example `**/*.hea`.
            reader: File format.
            labels: Finds the labels.
            patients: Finds the patient; null when every recording is of another patient.
            folds: Finds the official fold, counted from 1; null without.
            aliases: Second name of a patient to the first, for patients with two.
            left_out: Names of recordings to leave out: stems, or paths without extension.
            data_dir: `paths.data`.
            damaged: Recordings that were published broken: passed over where they are.
        """
        self.name = name
        self._places = tuple(places)
        self._glob = glob
        self._reader = reader
        self._labels = labels
        self._patients = patients
        self._folds = folds
        self._aliases = {str(second): str(first) for second, first in aliases.items()}
        self._left_out = frozenset(str(item) for item in left_out)
        self._damaged = tuple(damaged)
        self._passed_over = self._left_out.union(damaged)
        self._data_dir = None if data_dir is None else Path(data_dir).expanduser()

    def place(self) -> Place:
        """Return where the recordings lie and how many there are.

        Raises:
            DataError: The folder is missing.
        """
        root, paths = self._paths()
        damaged = tuple(name for name in self._damaged if any(root.glob(f"**/{name}.*")))
        return Place(name=self.name, folder=root, n_records=len(paths), damaged=damaged)

    def identity(self) -> Identity:
        """Hash text files; signal files are represented by size and time of change.

        Raises:
            DataError: The folder or a file is missing.
        """
        root, paths = self._paths()
        files: dict[str, Any] = {}
        stamp: dict[str, Any] = {}
        lookups = [item for item in (self._labels, self._patients, self._folds) if item]
        texts = [path for lookup in lookups for path in lookup.files(root)]
        for path in paths:
            headers, signals = self._reader.files(path)
            texts += headers
            for signal in signals:
                try:
                    status = signal.stat()
                except OSError as error:
                    raise DataError(
                        f"{signal} is missing, though {path.name} is there; complete the folder "
                        "or add the recording to dataset.recordings.left_out"
                    ) from error
                where = str(signal.relative_to(root))
                files[where], stamp[where] = status.st_size, status.st_mtime_ns
        for path in dict.fromkeys(texts):
            where = Path(os.path.relpath(path, root)).as_posix()
            files[where] = hashlib.sha256(path.read_bytes()).hexdigest()
        return Identity(content={**self.describe(), "files": files}, stamp=stamp)

    def describe(self) -> dict[str, Any]:
        """Return every parameter that decides what is read, as plain containers."""
        lookups = {"labels": self._labels, "patients": self._patients, "folds": self._folds}
        return {
            "name": self.name,
            "glob": self._glob,
            "reader": self._reader.describe(),
            "aliases": self._aliases,
            "left_out": sorted(self._left_out),
            **{key: item.describe() if item else None for key, item in lookups.items()},
            **({"damaged": list(self._damaged)} if self._damaged else {}),
        }

    def recordings(self) -> list[Recording]:
        """Look at every recording.

        Raises:
            DataError: A recording, label or table cannot be used.
        """
        root, paths = self._paths()
        keys = [_key(path, root) for path in paths]
        stems = [path.stem for path in paths]
        names = stems if len(set(stems)) == len(stems) else keys
        entries = [
            self._reader.look(path, name, key)
            for path, name, key in zip(paths, names, keys, strict=True)
        ]
        labels = self._labels.find(root, entries, self._passed_over)
        patients: Found = tuple((entry.name,) for entry in entries)
        if self._patients is not None:
            patients = self._patients.find(root, entries, self._passed_over)
        folds = [None] * len(entries) if self._folds is None else self._numbers(root, entries)
        return [
            Recording(
                entry=entry,
                labels=label,
                patient=self._aliases.get(patient[0], patient[0]),
                fold=fold,
            )
            for entry, label, patient, fold in zip(entries, labels, patients, folds, strict=True)
        ]

    def digests(self, recording: Recording) -> tuple[bytes, ...]:
        """Identify the samples of each lead that is not flat."""
        return self._reader.digests(recording.entry)

    def signal(self, recording: Recording, leads: tuple[str, ...]) -> NDArray[np.float32]:
        """Read leads (lead, sample) in mV.

        Raises:
            DataError: The signal cannot be used.
        """
        return self._reader.read(recording.entry, leads)

    def _numbers(self, root: Path, entries: Sequence[Entry]) -> list[int | None]:
        if self._folds is None:
            return []
        found = self._folds.find(root, entries, self._passed_over)
        wrong = [text[0] for text in found if not text[0].isdigit()]
        if wrong:
            raise DataError(f"{self.name}: official fold {wrong[0]!r} is no whole number")
        return [int(text[0]) for text in found]

    def _paths(self) -> tuple[Path, list[Path]]:
        remedy = (
            f"point paths.data (ECGEXP_DATA) to the folder that holds {self._places[0]}/, or "
            "change dataset.recordings.places and glob"
        )
        if self._data_dir is None:
            raise DataError(f"{self.name} needs recordings, but paths.data is not set; {remedy}")
        places = [self._data_dir / place for place in self._places]
        for root in places:
            paths = sorted(root.glob(self._glob)) if root.is_dir() else []
            kept = [path for path in paths if not self._passed_over & _names(path, root)]
            if kept:
                self._check_left_out(root, paths)
                return root, kept
        raise DataError(
            f"{self.name}: no recording ({self._glob}) in {', '.join(map(str, places))}; {remedy}"
        )

    def _check_left_out(self, root: Path, paths: list[Path]) -> None:
        known = set().union(*(_names(path, root) for path in paths))
        unknown = sorted(self._left_out - known)
        if unknown:
            raise DataError(
                f"dataset.recordings.left_out: {unknown[0]} is not in {root}; take it out of the "
                "list"
            )


def _names(path: Path, root: Path) -> set[str]:
    return {path.stem, _key(path, root)}


def _key(path: Path, root: Path) -> str:
    return path.relative_to(root).with_suffix("").as_posix()
