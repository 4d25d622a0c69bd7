"""Read one recording of one file format: WFDB, MATLAB or CSV."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ecgexp.dataset.header import Header, read_header
from ecgexp.dataset.records import check_limb_leads, read_digital, read_signal
from ecgexp.errors import ConfigError, DataError


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One recording that was found.

    Attributes:
        name: Unique in its data set: the stem of the file, or its path where stems repeat.
        key: Path below the data set's folder, without extension.
        path: The file that the glob found.
        fs_hz: Sampling rate.
        n_samples: Samples per lead.
        comments: Lines of text in the file.
        header: The header, where the format has one.
    """

    name: str
    key: str
    path: Path
    fs_hz: float
    n_samples: int
    comments: tuple[str, ...] = ()
    header: Header | None = None


class Reader(Protocol):
    """What a file format must offer."""

    def describe(self) -> dict[str, Any]:
        """Return every parameter as plain containers."""
        ...

    def files(self, path: Path) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
        """Return the text files and the signal files behind a path, by name only."""
        ...

    def look(self, path: Path, name: str, key: str) -> Entry:
        """Return what is known of a recording without its samples."""
        ...

    def digests(self, entry: Entry) -> tuple[bytes, ...]:
        """Identify the samples of each lead that is not flat, whatever the name of the file.

        Copies of a recording may differ in some leads, so that one lead in common is enough.
        """
        ...

    def read(self, entry: Entry, leads: tuple[str, ...]) -> NDArray[np.float32]:
        """Return leads by name (lead, sample) in mV."""
        ...


@dataclass(frozen=True, kw_only=True)
class WfdbReader:
    """Records with a `.hea` file, which the glob must find.

    Attributes:
        extension: Extension of the signal file, for example mat or dat.
        check_limb_leads: Whether to refuse records whose limb leads contradict each other.
    """

    extension: str
    check_limb_leads: bool

    def describe(self) -> dict[str, Any]:
        """Return every parameter as plain containers."""
        return {"kind": "wfdb", **asdict(self)}

    def files(self, path: Path) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
        """Return header and signal file."""
        return (path,), (path.with_suffix(f".{self.extension}"),)

    def look(self, path: Path, name: str, key: str) -> Entry:
        """Read the header.

        Raises:
            DataError: The header or the size of the signal file is wrong.
        """
        header = read_header(path.parent, path.stem)
        return Entry(
            name=name,
            key=key,
            path=path,
            fs_hz=header.fs_hz,
            n_samples=header.n_samples,
            comments=header.comments,
            header=header,
        )

    def digests(self, entry: Entry) -> tuple[bytes, ...]:
        """Digest the stored numbers of each lead."""
        return tuple(
            _digest(np.ascontiguousarray(lead).tobytes())
            for lead in read_digital(_header(entry)).T
            if lead.min() < lead.max()
        )

    def read(self, entry: Entry, leads: tuple[str, ...]) -> NDArray[np.float32]:
        """Read leads by name.

        Raises:
            DataError: A lead is missing or damaged, or limb leads are swapped.
        """
        header = _header(entry)
        if self.check_limb_leads:
            check_limb_leads(header)
        return read_signal(header, leads)


@dataclass(frozen=True, kw_only=True)
class MatReader:
    """MATLAB files with one lead of converter counts in one variable.

    Attributes:
        variable: Name of the array (1, sample).
        lead: What to call the lead.
        fs_hz: Sampling rate.
        gain: Converter counts per mV.
        zero: Converter count of 0 mV.
    """

    variable: str
    lead: str
    fs_hz: float
    gain: float
    zero: float

    def __post_init__(self) -> None:
        """Refuse a rate or a gain that is not positive.

        Raises:
            ConfigError: Names the values.
        """
        if min(self.fs_hz, self.gain) <= 0:
            raise ConfigError(
                f"dataset.recordings.reader: fs_hz={self.fs_hz:g} and gain={self.gain:g} must be "
                "positive"
            )

    def describe(self) -> dict[str, Any]:
        """Return every parameter as plain containers."""
        return {"kind": "mat", **asdict(self)}

    def files(self, path: Path) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
        """Return the one file."""
        return (), (path,)

    def look(self, path: Path, name: str, key: str) -> Entry:
        """Read the length of the array.

        Raises:
            DataError: The file is not readable or holds something else.
        """
        n_samples = self._counts(path).shape[1]
        return Entry(name=name, key=key, path=path, fs_hz=self.fs_hz, n_samples=n_samples)

    def digests(self, entry: Entry) -> tuple[bytes, ...]:
        """Digest the counts; the file itself holds the time it was written."""
        counts = self._counts(entry.path)
        return (_digest(counts.tobytes()),) if counts.min() < counts.max() else ()

    def read(self, entry: Entry, leads: tuple[str, ...]) -> NDArray[np.float32]:
        """Read the lead.

        Raises:
            DataError: Another lead is asked for, or a value is not finite.
        """
        if leads != (self.lead,):
            raise DataError(
                f"dataset.leads={list(leads)}: {entry.path} holds lead {self.lead} only"
            )
        signal = (self._counts(entry.path).astype(np.float64) - self.zero) / self.gain
        _check_finite(signal, entry.path)
        return signal.astype(np.float32)

    def _counts(self, path: Path) -> NDArray[np.generic]:
        from scipy.io import loadmat
        from scipy.io.matlab import MatReadError

        try:
            content = loadmat(path, variable_names=[self.variable])
        except (MatReadError, ValueError, TypeError, OSError) as error:
            raise DataError(
                f"{path} is not a readable MATLAB file ({error}); copy it again"
            ) from error
        counts = content.get(self.variable)
        if counts is None or counts.ndim != 2 or counts.shape[0] != 1 or counts.size == 0:
            found = "is missing" if counts is None else f"has shape {counts.shape}"
            raise DataError(
                f"{path}: variable {self.variable!r} {found}; needs one lead (1, sample)"
            )
        return np.asarray(counts)


@dataclass(frozen=True, kw_only=True)
class CsvReader:
    """Text files with one column per lead and a line of names on top.

    Attributes:
        fs_hz: Sampling rate.
        separator: Between the columns.
        mv_per_unit: Factor from the file's unit to mV: 0.001 for microvolts.
    """

    fs_hz: float
    separator: str
    mv_per_unit: float

    def __post_init__(self) -> None:
        """Refuse a rate or a factor that is not positive.

        Raises:
            ConfigError: Names the values.
        """
        if min(self.fs_hz, self.mv_per_unit) <= 0:
            raise ConfigError(
                f"dataset.recordings.reader: fs_hz={self.fs_hz:g} and "
                f"mv_per_unit={self.mv_per_unit:g} must be positive"
            )

    def describe(self) -> dict[str, Any]:
        """Return every parameter as plain containers."""
        return {"kind": "csv", **asdict(self)}

    def files(self, path: Path) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
        """Return the one file."""
        return (), (path,)

    def look(self, path: Path, name: str, key: str) -> Entry:
        """Count the lines.

        Raises:
            DataError: There are none.
        """
        n_samples = len([line for line in _read_bytes(path).splitlines()[1:] if line.strip()])
        if n_samples == 0:
            raise DataError(f"{path} holds no samples below its line of lead names")
        return Entry(name=name, key=key, path=path, fs_hz=self.fs_hz, n_samples=n_samples)

    def digests(self, entry: Entry) -> tuple[bytes, ...]:
        """Digest the file."""
        return (_digest(_read_bytes(entry.path)),)

    def read(self, entry: Entry, leads: tuple[str, ...]) -> NDArray[np.float32]:
        """Read columns by name.

        Raises:
            DataError: A column is missing, a cell is no number, or a value is not finite.
        """
        lines = _read_bytes(entry.path).decode("utf-8-sig", errors="replace").splitlines()
        names = [cell.strip().strip('"') for cell in lines[0].split(self.separator)]
        missing = [lead for lead in leads if lead not in names]
        if missing:
            raise DataError(
                f"{entry.path} has no column {missing[0]}, its first line names "
                f"{', '.join(names)}; choose other dataset.leads or add the line of names"
            )
        try:
            columns = np.loadtxt(
                [line for line in lines[1:] if line.strip()],
                delimiter=self.separator,
                usecols=[names.index(lead) for lead in leads],
                ndmin=2,
            )
        except ValueError as error:
            raise DataError(f"{entry.path} holds a cell that is no number: {error}") from error
        signal = columns.T * self.mv_per_unit
        _check_finite(signal, entry.path)
        return np.ascontiguousarray(signal, dtype=np.float32)


def _header(entry: Entry) -> Header:
    if entry.header is None:
        raise RuntimeError(f"{entry.name} was not looked at")
    return entry.header


def _digest(content: bytes) -> bytes:
    return hashlib.sha1(content, usedforsecurity=False).digest()


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from error


def _check_finite(signal: NDArray[np.floating], path: Path) -> None:
    bad = ~np.isfinite(signal).all(axis=0)
    if bad.any():
        raise DataError(
            f"{path}: {int(bad.sum())} of {bad.size} samples are not finite, the first is sample "
            f"{int(bad.argmax())}; repair the recording or add it to dataset.recordings.left_out"
        )
