"""Read WFDB signals and annotations, refusing whatever does not hold what its header promises."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ecgexp.dataset.header import Header, Signal, lead_position
from ecgexp.errors import DataError

_TO_MV = {"mv": 1.0, "uv": 1e-3, "v": 1e3}
# How formats mark a sample that was not recorded.
_INVALID = {
    **{"16": -(2**15), "61": -(2**15), "160": -(2**15), "24": -(2**23), "32": -(2**31)},
    **{"80": -(2**7), "212": -(2**11), "310": -(2**9), "311": -(2**9)},
}
# Lead -> parts and factors that add up to it.
_LIMB_SUMS = {
    "II": {"I": 1.0, "III": 1.0},
    "AVR": {"I": -0.5, "II": -0.5},
    "AVL": {"I": 0.5, "III": -0.5},
    "AVF": {"II": 0.5, "III": 0.5},
}
# Of the sizes of both sides; the published records stay below 0.04, a swap is near 0.5 or more.
_LIMB_TOLERANCE = 0.2
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
        try:
            to_millivolt(signal.unit)
        except ValueError as error:
            raise DataError(f"{path}.hea: lead {signal.lead} {error}") from error
        _check_finite(physical[:, row], header, signal.lead)
    scale = np.array([to_millivolt(signal.unit) for signal in chosen])
    return np.ascontiguousarray((physical * scale).T, dtype=np.float32)


def to_millivolt(unit: str) -> float:
    """Return the factor from a unit to mV.

    Raises:
        ValueError: The unit is no voltage.
    """
    if unit.lower() not in _TO_MV:
        raise ValueError(f"has unit {unit!r}; a voltage is needed (mV, uV or V)")
    return _TO_MV[unit.lower()]


def read_digital(header: Header) -> NDArray[np.integer]:
    """Return the stored numbers of all leads (sample, lead).

    Raises:
        DataError: The signal file is not readable.
    """
    try:
        return _digital(header, range(len(header.signals)))
    except _UNREADABLE as error:
        path = header.folder / header.signals[0].file
        raise DataError(f"{path} is not readable ({error}); download it again") from error


def check_limb_leads(header: Header) -> None:
    """Refuse a record whose limb leads contradict each other, as swapped ones do.

    II = I + III, and the augmented leads are sums of I, II and III. A record without these
    leads passes.

    Raises:
        DataError: A sum is wrong; names the record and the leads.
    """
    names = {lead.upper(): lead for lead in header.leads}
    for lead, parts in _LIMB_SUMS.items():
        if not {lead, *parts} <= set(names):
            continue
        whole, *rest = read_signal(header, [names[key] for key in (lead, *parts)]).astype(float)
        total = sum(factor * part for factor, part in zip(parts.values(), rest, strict=True))
        size = np.sqrt(np.square(whole).mean()) + np.sqrt(np.square(total).mean())
        error = np.sqrt(np.square(whole - total).mean())
        if error > _LIMB_TOLERANCE * size:
            formula = " + ".join(f"{factor:g} {part}" for part, factor in parts.items())
            raise DataError(
                f"record {header.name}: lead {lead} differs from {formula} by {error / size:.0%}: "
                "two limb leads are swapped or mislabelled; correct the header, or take the "
                "record out with dataset.recordings.left_out"
            )


def _samples(
    header: Header, chosen: Sequence[Signal]
) -> tuple[NDArray[np.integer], NDArray[np.float64]]:
    """Return digital and physical values (sample, lead)."""
    digital = _digital(header, [header.signals.index(signal) for signal in chosen])
    gain = np.array([signal.gain for signal in chosen])
    baseline = np.array([signal.baseline for signal in chosen])
    physical = (digital - baseline) / gain
    physical[digital == np.array([_INVALID.get(signal.storage) for signal in chosen])] = np.nan
    return digital, physical


def _digital(header: Header, positions: Sequence[int]) -> NDArray[np.integer]:
    first = header.signals[0]
    kinds = {(signal.file, signal.storage, signal.plain) for signal in header.signals}
    if kinds == {(first.file, "16", True)}:
        # Thousands of short records of this format make data sets; wfdb needs ms for each.
        every = np.fromfile(
            header.folder / first.file,
            dtype="<i2",
            count=header.n_samples * len(header.signals),
            offset=first.byte_offset,
        )
        return every.reshape(header.n_samples, -1)[:, list(positions)]
    import wfdb

    path = str(header.folder / header.name)
    record = wfdb.rdrecord(path, channels=list(positions), physical=False)
    return np.asarray(record.d_signal)


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
