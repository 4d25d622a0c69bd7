"""Pack a folder into an archive whose bytes depend on its files alone."""

from __future__ import annotations

import gzip
import hashlib
import tarfile
import zipfile
from pathlib import Path
from typing import Literal, get_args

ArchiveKind = Literal["tar.gz", "zip"]
KINDS: tuple[str, ...] = get_args(ArchiveKind)
# The first moment that a zip file can name.
_ZIP_TIME = (1980, 1, 1, 0, 0, 0)


def files_of(folder: Path) -> list[Path]:
    """Return every file below a folder, sorted by its name in the archive."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return sorted(files, key=lambda path: path.relative_to(folder).as_posix())


def sha256(path: Path) -> str:
    """Return the hash of a file in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def write_archive(folder: Path, top: str, kind: ArchiveKind, path: Path) -> None:
    """Write an archive.

    Args:
        folder: What to pack.
        top: Name of the only folder at the archive's top.
        kind: `tar.gz` or `zip`.
        path: File to write.
    """
    members = [(file, f"{top}/{file.relative_to(folder).as_posix()}") for file in files_of(folder)]
    if kind == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for file, name in members:
                info = zipfile.ZipInfo(name, _ZIP_TIME)
                info.external_attr = 0o644 << 16
                info.compress_type = zipfile.ZIP_DEFLATED
                archive.writestr(info, file.read_bytes())
        return
    with (
        path.open("wb") as raw,
        gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as archive_file,
    ):
        for file, name in members:
            member = tarfile.TarInfo(name)
            member.size, member.mode = file.stat().st_size, 0o644
            with file.open("rb") as content:
                archive_file.addfile(member, content)
