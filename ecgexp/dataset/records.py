"""Read WFDB signals and annotations, refusing whatever does not hold what its header promises."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ecgexp.dataset.header import Header, Signal, lead_position
from ecgexp.errors import DataError

_TO_MV = {"mv": 1.0, "uv": 1e-3, "v": 1e3}
# How format 16 marks a sample that was not recorded.
_INVALID_16 = -32768
# What wfdb raises on text and bytes that are not what they should be.
_UNREADABLE = (ValueError, IndexError, KeyError, TypeError, AttributeError, OSError)


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


def read_signal(header: Header, leads: Sequence[str]) -> NDArray[np.float32]:
    """Read leads, found by their names.

    Args:
        header: The record's header.
        leads: Lead names, for example MLII.

    Returns:
        The signal (lead, sample) in mV.

    Raises:
        DataError: A lead is missing, unreadable, does not match its checksum, has no voltage
            unit, or holds values that are not finite.
    """
    chosen = [header.signals[lead_position(header, lead)] for lead in leads]
    path = header.folder / header.name
    try:
        digital, physical = _samples(header, chosen)
    except _UNREADABLE as error:
        raise DataError(f"{path}.dat is not readable ({error}); download it again") from error
    for row, signal in enumerate(chosen):
        expected = signal.checksum
        found = int(digital[:, row].sum(dtype=np.int64)) & 0xFFFF
        if expected and (expected & 0xFFFF) != found:
            raise DataError(
                f"{header.folder / signal.file}: the samples of lead {signal.lead} have checksum "
                f"{found}, {header.name}.hea says {expected & 0xFFFF}: the file is damaged; "
                "download the record again"
            )
        if signal.unit.lower() not in _TO_MV:
            raise DataError(
                f"{path}.hea: lead {signal.lead} has unit {signal.unit!r}; a voltage is needed "
                "(mV, uV or V)"
            )
        _check_finite(physical[:, row], header, signal.lead)
    scale = np.array([_TO_MV[signal.unit.lower()] for signal in chosen])
    return np.ascontiguousarray((physical * scale).T, dtype=np.float32)


def _samples(
    header: Header, chosen: Sequence[Signal]
) -> tuple[NDArray[np.integer], NDArray[np.float64]]:
    """Return digital and physical values (sample, lead)."""
    first = header.signals[0]
    position = [header.signals.index(signal) for signal in chosen]
    kinds = {(signal.file, signal.storage, signal.plain) for signal in header.signals}
    if kinds == {(first.file, "16", True)}:
        # Thousands of short records of this format make data sets; wfdb needs ms for each.
        every = np.fromfile(
            header.folder / first.file,
            dtype="<i2",
            count=header.n_samples * len(header.signals),
            offset=first.byte_offset,
        )
        digital = every.reshape(header.n_samples, -1)[:, position]
        gain = np.array([signal.gain for signal in chosen])
        baseline = np.array([signal.baseline for signal in chosen])
        physical = (digital - baseline) / gain
        physical[digital == _INVALID_16] = np.nan
        return digital, physical
    import wfdb

    path = str(header.folder / header.name)
    record = wfdb.rdrecord(path, channels=position, physical=False)
    return np.asarray(record.d_signal), np.asarray(record.dac(return_res=64), dtype=np.float64)


def _check_finite(signal: NDArray[np.float64], header: Header, lead: str) -> None:
    bad = ~np.isfinite(signal)
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
