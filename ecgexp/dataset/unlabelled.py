"""Recordings that nobody has labelled, in whatever file they come: WFDB, EDF, CSV or NumPy."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ecgexp.dataset.header import read_header
from ecgexp.dataset.records import read_signal, to_millivolt
from ecgexp.errors import DataError

SUFFIXES = (".hea", ".edf", ".csv", ".npy")
_EDF_ERRORS = (ValueError, IndexError, KeyError, TypeError, OSError, struct.error, UnicodeError)


@dataclass(frozen=True, kw_only=True)
class Recording:
    """One recording as it was read.

    Attributes:
        name: Path below the folder, without extension.
        fs_hz: Sampling rate.
        leads: Lead names, empty texts where the file has none.
        signal: Samples (lead, sample) in mV.
    """

    name: str
    fs_hz: float
    leads: tuple[str, ...]
    signal: NDArray[np.float64]


def find_recordings(folder: Path) -> list[Path]:
    """Return the recordings of a folder and the folders below it, in order of their names.

    Raises:
        DataError: There is no such folder, or no recording in it.
    """
    if not folder.is_dir():
        raise DataError(f"input={folder}: no such folder; name one that holds recordings")
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    if not found:
        raise DataError(f"input={folder}: no recording in it; known are {', '.join(SUFFIXES)}")
    return found


def read_recording(path: Path, name: str, *, fs_hz: float | None, mv_per_unit: float) -> Recording:
    """Read every lead of one file.

    Args:
        path: A `.hea`, `.edf`, `.csv` or `.npy` file.
        name: What to call the recording.
        fs_hz: Rate of files that do not say theirs: CSV and NumPy.
        mv_per_unit: Factor from the unit of such files to mV.

    Raises:
        DataError: The file cannot be read, or its rate is not known.
    """
    suffix = path.suffix.lower()
    if suffix == ".hea":
        header = read_header(path.parent, path.stem)
        signal = read_signal(header, header.leads).astype(np.float64)
        return Recording(name=name, fs_hz=header.fs_hz, leads=header.leads, signal=signal)
    if suffix == ".edf":
        return _read_edf(path, name)
    if fs_hz is None:
        raise DataError(f"{path} does not say its sampling rate; give it with fs_hz=HZ")
    leads, values = _read_csv(path) if suffix == ".csv" else _read_npy(path)
    return Recording(name=name, fs_hz=fs_hz, leads=leads, signal=values * mv_per_unit)


def _read_edf(path: Path, name: str) -> Recording:
    from wfdb.io.convert.edf import read_edf

    try:
        record = read_edf(str(path))
        digital = np.asarray(record.d_signal if record.d_signal is not None else record.p_signal)
        values = (
            np.asarray(record.p_signal, dtype=np.float64)
            if record.p_signal is not None
            else ((digital - np.asarray(record.baseline)) / np.asarray(record.adc_gain))
        )
        factors = np.array([to_millivolt(unit) for unit in record.units])
        rate = float(record.fs)
    except _EDF_ERRORS as error:
        raise DataError(f"{path} is not a readable EDF file ({error})") from error
    leads = tuple(str(lead) for lead in record.sig_name)
    return Recording(name=name, fs_hz=rate, leads=leads, signal=(values * factors).T)


def _read_csv(path: Path) -> tuple[tuple[str, ...], NDArray[np.float64]]:
    try:
        lines = [line for line in path.read_text("utf-8-sig").splitlines() if line.strip()]
        first = [cell.strip().strip('"') for cell in lines[0].split(",")]
        names = () if all(_is_number(cell) for cell in first) else tuple(first)
        columns = np.loadtxt(lines[bool(names) :], delimiter=",", ndmin=2, dtype=np.float64)
    except (OSError, ValueError, IndexError) as error:
        raise DataError(f"{path} is not a readable table of numbers ({error})") from error
    return names or ("",) * columns.shape[1], columns.T


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _read_npy(path: Path) -> tuple[tuple[str, ...], NDArray[np.float64]]:
    try:
        values = np.load(path, allow_pickle=False)
        signal = np.atleast_2d(np.asarray(values, dtype=np.float64))
    except (OSError, ValueError, TypeError, EOFError) as error:
        raise DataError(f"{path} is not a readable array of numbers ({error})") from error
    if signal.ndim != 2 or signal.shape[0] > signal.shape[1]:
        raise DataError(
            f"{path}: shape {values.shape}; one recording is (sample,) or (lead, sample)"
        )
    return ("",) * len(signal), signal


def choose_leads(recording: Recording, leads: Sequence[str]) -> NDArray[np.float64]:
    """Return the leads a network wants (lead, sample); the only lead stands for any one.

    Raises:
        DataError: A lead is missing.
    """
    if len(leads) == 1 and len(recording.leads) == 1:
        return recording.signal
    known = {lead.upper(): index for index, lead in enumerate(recording.leads)}
    missing = [lead for lead in leads if lead.upper() not in known]
    if missing:
        raise DataError(
            f"{recording.name} has no lead {missing[0]}, its leads are "
            f"{', '.join(lead or '(no name)' for lead in recording.leads)}"
        )
    return recording.signal[[known[lead.upper()] for lead in leads]]
