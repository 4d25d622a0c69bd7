"""Read WFDB records and annotations, refusing whatever does not hold what its header promises."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ecgexp.errors import DataError

log = logging.getLogger(__name__)

# Bytes per sample of the WFDB signal formats with a fixed size.
_BYTES = {
    "8": 1.0,
    "16": 2.0,
    "24": 3.0,
    "32": 4.0,
    "61": 2.0,
    "80": 1.0,
    "160": 2.0,
    "212": 1.5,
    "310": 4 / 3,
    "311": 4 / 3,
}
_TO_MV = {"mv": 1.0, "uv": 1e-3, "v": 1e3}
# What wfdb raises on text and bytes that are not what they should be.
_UNREADABLE = (ValueError, IndexError, KeyError, TypeError, AttributeError, OSError)


@dataclass(frozen=True, kw_only=True)
class Header:
    """What a `.hea` file promises.

    Attributes:
        folder: Where the record lies.
        name: Record name.
        fs_hz: Sampling rate.
        n_samples: Samples per lead.
        leads: Lead names in the order of the file.
        units: Unit of each lead.
        checksums: 16-bit checksum of each lead; 0 or None where there is none.
    """

    folder: Path
    name: str
    fs_hz: float
    n_samples: int
    leads: tuple[str, ...]
    units: tuple[str, ...]
    checksums: tuple[int | None, ...]


@dataclass(frozen=True, kw_only=True)
class Annotations:
    """The annotations of one record, in time order.

    Attributes:
        sample: Places (annotation,).
        symbol: WFDB symbols (annotation,).
        note: Auxiliary texts, empty where there is none (annotation,).
    """

    sample: NDArray[np.int64]
    symbol: tuple[str, ...]
    note: tuple[str, ...]


def read_header(folder: Path, name: str) -> Header:
    """Read a header and compare the sizes of the signal files with what it promises.

    Args:
        folder: Where the record lies.
        name: Record name, without extension.

    Raises:
        DataError: A file is missing, unreadable or too short.
    """
    import wfdb

    path = folder / f"{name}.hea"
    if not path.is_file():
        raise DataError(f"{path} is missing; complete the folder with `ecgexp data download`")
    try:
        header = wfdb.rdheader(str(folder / name))
        parsed = Header(
            folder=folder,
            name=name,
            fs_hz=float(header.fs),
            n_samples=int(header.sig_len),
            leads=tuple(header.sig_name),
            units=tuple(header.units),
            checksums=tuple(header.checksum),
        )
        sizes = list(zip(header.file_name, header.fmt, header.byte_offset, strict=True))
    except _UNREADABLE as error:
        raise DataError(
            f"{path} is not a readable WFDB header ({error}); download the record again"
        ) from error
    _check_sizes(parsed, sizes)
    return parsed


def _check_sizes(header: Header, signals: list[tuple[str, str, int | None]]) -> None:
    for file_name in dict.fromkeys(signal[0] for signal in signals):
        path = header.folder / file_name
        if not path.is_file():
            raise DataError(
                f"{path} is missing, {header.name}.hea names it; complete the folder with "
                "`ecgexp data download`"
            )
        inside = [signal for signal in signals if signal[0] == file_name]
        width = sum(_BYTES.get(signal[1], math.nan) for signal in inside)
        if math.isnan(width):
            log.warning("%s: format %s has no fixed size to check", path, inside[0][1])
            continue
        available = path.stat().st_size - (inside[0][2] or 0)
        if available < math.ceil(width * header.n_samples - 1e-6):
            raise DataError(
                f"{path} holds {math.floor(available / width + 1e-6)} samples per lead "
                f"({path.stat().st_size} bytes), but {header.name}.hea promises "
                f"{header.n_samples}: the file is truncated or the header is wrong; download the "
                "record again"
            )


def read_signal(header: Header, lead: str) -> NDArray[np.float32]:
    """Read one lead, found by its name.

    Args:
        header: The record's header.
        lead: Lead name, for example MLII.

    Returns:
        The signal (1, sample) in mV.

    Raises:
        DataError: The lead is missing, unreadable, does not match its checksum, has no voltage
            unit, or holds values that are not finite.
    """
    import wfdb

    position = lead_position(header, lead)
    path = header.folder / header.name
    try:
        record = wfdb.rdrecord(str(path), channels=[position], physical=False)
        digital = np.asarray(record.d_signal)
        physical = record.dac(return_res=64)
    except _UNREADABLE as error:
        raise DataError(f"{path}.dat is not readable ({error}); download it again") from error
    expected = header.checksums[position]
    found = int(digital.astype(np.int64).sum()) & 0xFFFF
    if expected and (int(expected) & 0xFFFF) != found:
        raise DataError(
            f"{path}.dat: the samples of lead {lead} have checksum {found}, {header.name}.hea "
            f"says {int(expected) & 0xFFFF}: the file is damaged; download the record again"
        )
    unit = header.units[position]
    if unit.lower() not in _TO_MV:
        raise DataError(
            f"{path}.hea: lead {lead} has unit {unit!r}; a voltage is needed (mV, uV or V)"
        )
    signal = np.asarray(physical, dtype=np.float64).T * _TO_MV[unit.lower()]
    _check_finite(signal, header, lead)
    return signal.astype(np.float32)


def lead_position(header: Header, lead: str) -> int:
    """Return where a lead is in a record.

    Raises:
        DataError: The record has no such lead; names those it has.
    """
    if lead not in header.leads:
        raise DataError(
            f"record {header.name} has no lead {lead}, its leads are {', '.join(header.leads)}; "
            "choose another dataset.lead or take the record out of the dataset's record lists"
        )
    return header.leads.index(lead)


def _check_finite(signal: NDArray[np.float64], header: Header, lead: str) -> None:
    bad = ~np.isfinite(signal[0])
    if not bad.any():
        return
    count = int(bad.sum())
    share = "every value is" if count == bad.size else f"{count} of {bad.size} values are"
    raise DataError(
        f"record {header.name}, lead {lead}: {share} not finite (NaN or marked invalid), the "
        f"first at sample {int(bad.argmax())}; repair the recording or take it out of the "
        "dataset's record lists"
    )


def read_annotations(header: Header, extension: str) -> Annotations:
    """Read a record's annotations.

    Args:
        header: The record's header.
        extension: Annotation file extension, for example atr.

    Raises:
        DataError: The file is missing or unreadable, or an annotation lies outside the signal.
    """
    import wfdb

    path = header.folder / f"{header.name}.{extension}"
    if not path.is_file():
        raise DataError(f"{path} is missing; complete the folder with `ecgexp data download`")
    try:
        found = wfdb.rdann(str(header.folder / header.name), extension)
        sample = np.asarray(found.sample, dtype=np.int64)
        symbol = tuple(str(text) for text in found.symbol)
        note = tuple(str(text or "").strip("\0 ") for text in found.aux_note)
    except _UNREADABLE as error:
        raise DataError(
            f"{path} is not a readable WFDB annotation file ({error}); download it again"
        ) from error
    outside = (sample < 0) | (sample >= header.n_samples)
    if outside.any():
        first = int(outside.argmax())
        raise DataError(
            f"{path}: annotation {first} ({symbol[first]!r}) lies at sample {sample[first]}, "
            f"outside the signal of {header.n_samples} samples; the annotations belong to another "
            "recording or the header is wrong"
        )
    return Annotations(sample=sample, symbol=symbol, note=note)
