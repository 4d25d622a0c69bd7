"""Fetch a database from PhysioNet, record by record, so that no half file is left behind."""

from __future__ import annotations

import contextlib
import io
import logging
import shutil
import socket
import tempfile
import urllib.request
from pathlib import Path

from ecgexp.dataset import progress as show
from ecgexp.errors import DataError

log = logging.getLogger(__name__)

_HOST = "physionet.org"
_EXTENSIONS = {"mitdb": ("hea", "atr", "dat"), "edb": ("hea", "atr", "dat")}


def download(name: str, folder: Path, progress: bool) -> Path:
    """Fetch what is missing of a database.

    Args:
        name: Database on PhysioNet; one of those that `ecgexp` has a data set for.
        folder: `paths.data`; the files go to a folder of the database's name below it.
        progress: Show a bar.

    Returns:
        The database's folder.

    Raises:
        DataError: The database is unknown, PhysioNet cannot be reached, or a file cannot be
            written; names the folder and what it lacks.
    """
    if name not in _EXTENSIONS:
        raise DataError(
            f"dataset={name} is nothing to download; databases: {', '.join(_EXTENSIONS)}"
        )
    target = folder / name
    known = _known_records(target)
    if known and not _missing(name, target, known):
        log.info("%s is complete: %d records", target, len(known))
        return target
    try:
        _fetch(name, target, progress)
    except OSError as error:
        present = [record for record in known if not _missing(name, target, [record])]
        raise DataError(
            f"cannot fetch {name} from {_HOST} ({error}). Looked in {target} first: it holds "
            f"{len(present) or 'no'} complete records. Without a network, copy the database "
            f"there, or point paths.data (ECGEXP_DATA) to the folder that holds {name}/"
        ) from error
    return target


def _known_records(target: Path) -> list[str]:
    listing = target / "RECORDS"
    return listing.read_text(encoding="ascii").split() if listing.is_file() else []


def _missing(name: str, target: Path, records: list[str]) -> list[str]:
    files = [f"{record}.{extension}" for record in records for extension in _EXTENSIONS[name]]
    return [file for file in files if not (target / file).is_file()]


def _fetch(name: str, target: Path, progress: bool) -> None:
    import wfdb

    _check_reachable()
    target.mkdir(parents=True, exist_ok=True)
    try:
        records = list(wfdb.io.get_record_list(name))
    except ValueError as error:
        raise OSError(str(error)) from error
    track = show.bar if progress else show.silent
    for record in track(records, f"fetching {name}", len(records)):
        files = _missing(name, target, [record])
        if not files:
            continue
        with tempfile.TemporaryDirectory(prefix=".fetching-", dir=target) as aside:
            with contextlib.redirect_stdout(io.StringIO()):  # wfdb prints
                wfdb.dl_files(name, aside, files)
            for file in files:
                shutil.move(Path(aside) / file, target / file)
    # Last, because a listing without its records would look like a complete folder.
    aside_listing = target / ".RECORDS.part"
    aside_listing.write_text("\n".join(records) + "\n", encoding="ascii")
    aside_listing.rename(target / "RECORDS")


def _check_reachable() -> None:
    # wfdb asks without a time limit, so that a silent network would hang for minutes.
    if urllib.request.getproxies():
        return
    socket.create_connection((_HOST, 443), timeout=10).close()
