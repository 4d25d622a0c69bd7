"""Where the facts about recordings are: in a table, a header, a folder's name, a file's name."""

from __future__ import annotations

import csv
import re
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from ecgexp.dataset.reader import Entry
from ecgexp.errors import ConfigError, DataError

Found = tuple[tuple[str, ...], ...]


class Lookup(Protocol):
    """Finds texts about each recording: labels, the patient, a fold."""

    def describe(self) -> dict[str, Any]:
        """Return every parameter as plain containers."""
        ...

    def files(self, root: Path) -> tuple[Path, ...]:
        """Return the files besides the recordings that are read."""
        ...

    def find(self, root: Path, entries: Sequence[Entry], left_out: Collection[str]) -> Found:
        """Return the texts of each recording, at least one each; `left_out` is not missed."""
        ...


@dataclass(frozen=True, kw_only=True)
class Table:
    """A CSV file with a row for each recording.

    Attributes:
        file: Where it may lie, below the data set's folder; the first that exists is read.
        record: Column of the record's name: its heading, or its number from 0 in a file without
            headings.
        column: Column of the texts, likewise.
        pattern: Regular expression that finds the texts in a cell: its group, or all of it.
        name_pattern: Regular expression that finds the record's name in the stem of a
            recording: its group, or all of it.
    """

    file: Sequence[str]
    record: str | int
    column: str | int
    pattern: str
    name_pattern: str

    def __post_init__(self) -> None:
        """Refuse patterns that do not compile, and columns of two kinds.

        Raises:
            ConfigError: Names the value.
        """
        _compiled(self.pattern, "pattern")
        _compiled(self.name_pattern, "name_pattern")
        if isinstance(self.record, int) != isinstance(self.column, int):
            raise ConfigError(
                f"dataset.recordings: record={self.record!r} and column={self.column!r} of a "
                "table must both be headings, or both be numbers from 0"
            )

    def describe(self) -> dict[str, Any]:
        """Return every parameter as plain containers."""
        return {"kind": "table", **asdict(self), "file": list(self.file)}

    def files(self, root: Path) -> tuple[Path, ...]:
        """Return the table.

        Raises:
            DataError: It is in none of its places.
        """
        places = [root / file for file in self.file]
        for path in places:
            if path.is_file():
                return (path,)
        raise DataError(
            f"no label file: looked for {', '.join(map(str, places))}; add one of them, or name "
            "yours in the dataset's `file`"
        )

    def find(self, root: Path, entries: Sequence[Entry], left_out: Collection[str]) -> Found:
        """Look up every recording.

        Raises:
            DataError: A recording has no row, or two that differ, or an empty cell.
        """
        (path,) = self.files(root)
        cells = self._cells(path)
        names = [_first(self.name_pattern, entry.key.rpartition("/")[2]) for entry in entries]
        without = [name for name in names if name not in cells]
        if without:
            raise DataError(
                f"{path} has no row for {len(without)} of {len(names)} recordings, the first is "
                f"{without[0]}: the table is out of step with the folder; complete it, or take "
                "the recordings out with dataset.recordings.left_out"
            )
        unused = sorted(set(cells) - set(names) - self._names(left_out))
        if unused:
            raise DataError(
                f"{path} names {len(unused)} recordings that are not in {root}, the first is "
                f"{unused[0]}: the folder is out of step with the table; complete the folder, or "
                "take the rows out"
            )
        return tuple(_texts(self.pattern, cells[name], f"{path}, row {name}") for name in names)

    def _names(self, left_out: Collection[str]) -> set[str]:
        stems = [key.rpartition("/")[2] for key in left_out]
        return {_first(self.name_pattern, stem) for stem in stems}

    def _cells(self, path: Path) -> dict[str, str]:
        try:
            with path.open(encoding="utf-8-sig", newline="") as file:
                rows = [row for row in csv.reader(file) if row]
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise DataError(f"{path} is not a readable CSV file ({error})") from error
        if isinstance(self.record, int) and isinstance(self.column, int):
            record, column = self.record, self.column
        else:
            headings, rows = (rows[0], rows[1:]) if rows else ([], [])
            missing = [name for name in (self.record, self.column) if name not in headings]
            if missing:
                raise DataError(
                    f"{path} has no column {missing[0]!r}; it has {', '.join(headings)}"
                )
            record, column = headings.index(str(self.record)), headings.index(str(self.column))
        cells: dict[str, str] = {}
        for number, row in enumerate(rows, start=1):
            if len(row) <= max(record, column):
                raise DataError(f"{path}, row {number}: {len(row)} cells, {row}")
            name, cell = row[record].strip(), row[column].strip()
            if cells.setdefault(name, cell) != cell:
                raise DataError(
                    f"{path} names {name} twice, with {cells[name]!r} and {cell!r}; keep one row"
                )
        return cells


@dataclass(frozen=True, kw_only=True)
class HeaderComment:
    """A comment line `key: texts` in the header of the recording.

    Attributes:
        key: What stands before the colon.
        pattern: Regular expression that finds the texts behind it: its group, or all of it.
    """

    key: str
    pattern: str

    def __post_init__(self) -> None:
        """Refuse a pattern that does not compile.

        Raises:
            ConfigError: Names the value.
        """
        _compiled(self.pattern, "pattern")

    def describe(self) -> dict[str, Any]:
        """Return every parameter as plain containers."""
        return {"kind": "header_comment", **asdict(self)}

    def files(self, root: Path) -> tuple[Path, ...]:
        """Return nothing: headers belong to the recordings."""
        return ()

    def find(self, root: Path, entries: Sequence[Entry], left_out: Collection[str]) -> Found:
        """Look at the comments of every recording.

        Raises:
            DataError: A recording has no such comment, or an empty one.
        """
        found = []
        for entry in entries:
            lines = [line.partition(":") for line in entry.comments]
            behind = [text for key, _, text in lines if key.strip() == self.key]
            if not behind:
                raise DataError(
                    f"{entry.path} has no comment `#{self.key}: ...`; add it, or take the "
                    "recording out with dataset.recordings.left_out"
                )
            found.append(_texts(self.pattern, behind[0], f"{entry.path}, #{self.key}"))
        return tuple(found)


@dataclass(frozen=True, kw_only=True)
class PathName:
    """A part of the recording's path below the data set's folder, without extension.

    Attributes:
        pattern: Regular expression on the path, with `/` between folders: its group, or all.
    """

    pattern: str

    def __post_init__(self) -> None:
        """Refuse a pattern that does not compile.

        Raises:
            ConfigError: Names the value.
        """
        _compiled(self.pattern, "pattern")

    def describe(self) -> dict[str, Any]:
        """Return every parameter as plain containers."""
        return {"kind": "path_name", **asdict(self)}

    def files(self, root: Path) -> tuple[Path, ...]:
        """Return nothing: names are in the folder."""
        return ()

    def find(self, root: Path, entries: Sequence[Entry], left_out: Collection[str]) -> Found:
        """Look at the path of every recording.

        Raises:
            DataError: The pattern does not fit.
        """
        return tuple((_first(self.pattern, entry.key),) for entry in entries)


def _compiled(pattern: str, key: str) -> re.Pattern[str]:
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise ConfigError(
            f"dataset.recordings: {key}={pattern!r} is no regular expression ({error})"
        ) from error
    if compiled.groups > 1:
        raise ConfigError(
            f"dataset.recordings: {key}={pattern!r} has {compiled.groups} groups; one at most, "
            "use (?:...) for the others"
        )
    return compiled


def _first(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    if found is None:
        raise DataError(
            f"recording {text}: the pattern {pattern!r} does not fit; change the pattern or take "
            "the recording out with dataset.recordings.left_out"
        )
    return found[found.re.groups]


def _texts(pattern: str, cell: str, where: str) -> tuple[str, ...]:
    texts = tuple(dict.fromkeys(found.strip() for found in re.findall(pattern, cell)))
    if not texts or "" in texts:
        raise DataError(
            f"{where}: no label in {cell!r} (pattern {pattern!r}); fill it in, or take the "
            "recording out with dataset.recordings.left_out"
        )
    return texts
