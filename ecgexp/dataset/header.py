"""Read WFDB headers, and compare the signal files they name with what they promise."""

from __future__ import annotations

import logging
import math
import re
from dataclasses import dataclass
from pathlib import Path

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
_DEFAULT_GAIN = 200.0
_FORMAT = re.compile(r"(\d+)(?:x(\d+))?(?::(\d+))?(?:\+(\d+))?$")
_GAIN = re.compile(r"(-?[\d.]+(?:[eE][+-]?\d+)?)(?:\((-?\d+)\))?(?:/(\S+))?$")


@dataclass(frozen=True, kw_only=True)
class Signal:
    """One line of a header: a lead and how it is stored.

    Attributes:
        lead: Lead name.
        file: Name of the signal file.
        storage: WFDB format number.
        plain: One sample per frame and no skew, which is what `records` reads by itself.
        byte_offset: Bytes before the first sample.
        gain: Digital units per physical unit.
        baseline: Digital value of 0.
        unit: Physical unit.
        checksum: 16-bit sum of the samples; 0 or None where there is none.
    """

    lead: str
    file: str
    storage: str
    plain: bool
    byte_offset: int
    gain: float
    baseline: int
    unit: str
    checksum: int | None


@dataclass(frozen=True, kw_only=True)
class Header:
    """What a `.hea` file promises.

    Attributes:
        folder: Where the record lies.
        name: Record name, which is the stem of the header file.
        fs_hz: Sampling rate.
        n_samples: Samples per lead.
        signals: The leads in the order of the file.
        comments: The lines behind `#`, without it.
    """

    folder: Path
    name: str
    fs_hz: float
    n_samples: int
    signals: tuple[Signal, ...]
    comments: tuple[str, ...]

    @property
    def leads(self) -> tuple[str, ...]:
        """Lead names in the order of the file."""
        return tuple(signal.lead for signal in self.signals)


def read_header(folder: Path, name: str) -> Header:
    """Read a header and compare the sizes of the signal files with what it promises.

    Args:
        folder: Where the record lies.
        name: Record name, without extension.

    Raises:
        DataError: A file is missing, unreadable or too short.
    """
    path = folder / f"{name}.hea"
    if not path.is_file():
        raise DataError(f"{path} is missing; complete the folder with `ecgexp data download`")
    try:
        parsed = _parse(path)
    except (ValueError, IndexError, UnicodeDecodeError, OSError) as error:
        raise DataError(
            f"{path} is not a readable WFDB header ({error}); download the record again"
        ) from error
    _check_sizes(parsed)
    return parsed


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


def _parse(path: Path) -> Header:
    lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    comments = tuple(line.lstrip("#").strip() for line in lines if line.startswith("#"))
    content = [line for line in lines if line and not line.startswith("#")]
    fields = content[0].split()
    if "/" in fields[0]:
        raise ValueError("a record of several segments; merge it into one with wfdb")
    n_signals, fs_hz, n_samples = int(fields[1]), float(fields[2].split("/")[0]), int(fields[3])
    if not (n_signals > 0 and n_samples > 0 and fs_hz > 0 and math.isfinite(fs_hz)):
        raise ValueError(f"{n_signals} signals of {n_samples} samples at {fs_hz:g} Hz")
    if len(content) <= n_signals:
        raise ValueError(f"{len(content) - 1} signal lines of {n_signals}")
    return Header(
        folder=path.parent,
        name=path.stem,
        fs_hz=fs_hz,
        n_samples=n_samples,
        signals=tuple(_parse_signal(line) for line in content[1 : n_signals + 1]),
        comments=comments,
    )


def _parse_signal(line: str) -> Signal:
    fields = line.split(maxsplit=8)
    storage = _FORMAT.match(fields[1])
    if storage is None:
        raise ValueError(f"format {fields[1]!r}")
    found = _GAIN.match(fields[2]) if len(fields) > 2 else None
    if len(fields) > 2 and found is None:
        raise ValueError(f"gain {fields[2]!r}")
    gain, baseline, unit = found.groups() if found else (None, None, None)
    zero = fields[4] if len(fields) > 4 else "0"
    return Signal(
        lead=fields[8] if len(fields) > 8 else "",
        file=fields[0],
        storage=storage[1],
        plain=storage[2] in (None, "1") and storage[3] in (None, "0"),
        byte_offset=int(storage[4] or 0),
        gain=float(gain or 0) or _DEFAULT_GAIN,
        baseline=int(baseline if baseline is not None else zero),
        unit=unit or "mV",
        checksum=int(fields[6]) if len(fields) > 6 else None,
    )


def _check_sizes(header: Header) -> None:
    for file_name in dict.fromkeys(signal.file for signal in header.signals):
        path = header.folder / file_name
        if not path.is_file():
            raise DataError(
                f"{path} is missing, {header.name}.hea names it; complete the folder with "
                "`ecgexp data download`"
            )
        inside = [signal for signal in header.signals if signal.file == file_name]
        width = sum(_BYTES.get(signal.storage, math.nan) for signal in inside)
        if math.isnan(width) or not all(signal.plain for signal in inside):
            log.warning("%s: format %s has no fixed size to check", path, inside[0].storage)
            continue
        size = path.stat().st_size
        available = size - inside[0].byte_offset
        if available < math.ceil(width * header.n_samples - 1e-6):
            raise DataError(
                f"{path} holds {max(0, math.floor(available / width + 1e-6))} samples per lead "
                f"({size} bytes), but {header.name}.hea promises "
                f"{header.n_samples}: the file is truncated or the header is wrong; download the "
                "record again"
            )
