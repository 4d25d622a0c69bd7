"""Compare a folder of recordings with what its publisher says it holds."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from ecgexp.dataset.progress import Track
from ecgexp.dataset.source import Place

SUMS = "SHA256SUMS.txt"
LISTING = "RECORDS"
N_RECORDS = {
    "mitdb": 48,
    "edb": 90,
    "cinc2017": 8528,
    "mlii17": 1000,
    "ptbxl": 21799,
    "lsad": 45152,
}
"""Recordings per database, as published: mitdb 1.0.0, edb 1.0.0, challenge-2017 training,
Plawiak's fragments, ptb-xl 1.0.3, ecg-arrhythmia 1.0.0."""


_PARTIAL = {True: "a part of the database", False: "more than the database has"}


@dataclass(frozen=True, kw_only=True)
class Compared:
    """What a comparison showed.

    Attributes:
        checks: One sentence per thing that was looked at.
        faults: One sentence per file that differs from what was published.
    """

    checks: tuple[str, ...]
    faults: tuple[str, ...]


def compare(place: Place, *, track: Track) -> Compared:
    """Compare counts, the list of records and checksums of files with what was published.

    Args:
        place: A database on this machine.
        track: Wraps the iteration over files to show progress.
    """
    sums, faults = _sums(place, track)
    return Compared(
        checks=(_count(place), *_listed(place), *_damaged(place), sums), faults=tuple(faults)
    )


def _count(place: Place) -> str:
    published = N_RECORDS.get(place.name)
    here = place.n_records + len(place.damaged)
    if published is None:
        return f"{place.name}: {here} recordings; no published number to compare with"
    counted = f"{place.name}: {here:,} recordings are here, {published:,} were published"
    return counted if here == published else f"{counted}: {_PARTIAL[here < published]}"


def _listed(place: Place) -> list[str]:
    listing = place.folder / LISTING
    if not listing.is_file():
        return []
    names = listing.read_text(encoding="utf-8").split()
    here = {
        path.relative_to(place.folder).with_suffix("").as_posix()
        for path in place.folder.rglob("*.*")
    }
    missing = [name for name in names if name not in here]
    found = f"{place.name}: {LISTING} names {len(names):,} recordings, "
    if not missing:
        return [f"{found}all are here"]
    return [f"{found}{len(missing):,} are not here, the first is {missing[0]}"]


def _damaged(place: Place) -> list[str]:
    if not place.damaged:
        return []
    return [f"{place.name}: left out, damaged as published: {', '.join(place.damaged)}"]


def _sums(place: Place, track: Track) -> tuple[str, list[str]]:
    folder = next(
        (each for each in (place.folder, place.folder.parent) if (each / SUMS).is_file()), None
    )
    if folder is None:
        return f"{place.name}: no {SUMS} beside the recordings: files not compared with it", []
    lines = [line.split(maxsplit=1) for line in (folder / SUMS).read_text("utf-8").splitlines()]
    listed = {str(folder / name.lstrip("*")): digest for digest, name in filter(None, lines)}
    here = [path for path in listed if Path(path).is_file()]
    faults = [
        f"{path}: its SHA-256 is not the one of {SUMS}: the file is damaged or was changed; "
        "download it again"
        for path in track(here, f"checksums of {place.name}", len(here))
        if _sha256(Path(path)) != listed[path]
    ]
    missing = len(listed) - len(here)
    absent = f"; {missing:,} files it names are not here" if missing else ""
    return f"{place.name}: {len(here):,} files compared with {SUMS}{absent}", faults


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
