"""Folders that appear whole or not at all, shared by processes that may build the same one."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from ecgexp.errors import DataError

log = logging.getLogger(__name__)

META = "meta.json"
_ASIDE = ".part-"


def digest(description: Mapping[str, Any]) -> str:
    """Return 16 hexadecimal digits that identify plain containers, whatever their key order."""
    text = json.dumps(description, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def open_or_build(root: Path, key: str, build: Callable[[Path], None]) -> Path:
    """Return the folder `root/key`, building it when no process has done so yet.

    The folder is built aside, flushed to the disk and renamed, under a lock: it is complete or
    absent. What a killed process left aside is removed by the next build.

    Args:
        root: Folder of all caches.
        key: Name of the folder; anything that changes its content must change the key.
        build: Fills the empty folder it is given; `META` must be among the files.

    Raises:
        DataError: The folder cannot be written, for example because the disk is full.
    """
    final = root / key
    if (final / META).is_file():
        return final
    with writing(final):
        root.mkdir(parents=True, exist_ok=True)
        lock = FileLock(root / f"{key}.lock")
        lock.acquire()
    try:
        if not (final / META).is_file():
            _build_aside(final, build)
    finally:
        lock.release()
    return final


def _build_aside(final: Path, build: Callable[[Path], None]) -> None:
    started = time.monotonic()
    aside = final.with_name(f"{final.name}{_ASIDE}{os.getpid()}")
    try:
        with writing(final):
            _remove_leftovers(final)
            aside.mkdir()
        build(aside)
        with writing(final):
            _flush(aside)
            shutil.rmtree(final, ignore_errors=True)  # without META it is wreckage
            aside.rename(final)
            _flush_folder(final.parent)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    log.info("windows cached in %s after %.1f s", final, time.monotonic() - started)


def _remove_leftovers(final: Path) -> None:
    for aside in final.parent.glob(f"*{_ASIDE}*"):
        owner = aside.name.split(_ASIDE)[0]
        if owner == final.name:  # we hold its lock, so whoever made this is gone
            shutil.rmtree(aside, ignore_errors=True)
            continue
        try:
            with FileLock(final.with_name(f"{owner}.lock"), timeout=0):
                shutil.rmtree(aside, ignore_errors=True)
        except Timeout:
            log.debug("%s is being built by another process", aside)


def _flush(folder: Path) -> None:
    for path in folder.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())
    _flush_folder(folder)


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn a failed write into a message that names the file, the reason and the remedy."""
    try:
        yield
    except OSError as error:
        raise DataError(
            f"cannot write the window cache {path}: {error.strerror or error}; free some space, "
            "or point paths.home (ECGEXP_HOME) to a folder with room and write permission"
        ) from error


class RowWriter:
    """Write a `.npy` file of known row count, float32 or bytes, some rows at a time.

    Plain writes, not a memory map: on a full disk a map ends the process with SIGBUS where a
    write raises an error that can be told to the user.
    """

    def __init__(self, path: Path, n_rows: int) -> None:
        self._path = path
        self._n_rows = n_rows
        self._written = 0
        self._shape: tuple[int, ...] | None = None
        self._dtype = np.dtype("<f4")
        self._file: BinaryIO | None = None

    def append(self, rows: NDArray[np.float32 | np.uint8]) -> None:
        """Add rows (row, ...); the first ones decide the shape and whether they are bytes.

        Raises:
            DataError: The file cannot be written, or the rows differ in shape.
        """
        with writing(self._path):
            if self._file is None:
                self._shape = rows.shape[1:]
                self._dtype = np.dtype("u1" if rows.dtype == np.uint8 else "<f4")
                self._file = self._path.open("wb")
                shape = (self._n_rows, *self._shape)
                np.lib.format.write_array_header_1_0(
                    self._file,
                    {"descr": self._dtype.str, "fortran_order": False, "shape": shape},
                )
            if rows.shape[1:] != self._shape:
                raise DataError(
                    f"{self._path.name}: windows of shape {rows.shape[1:]} after {self._shape}"
                )
            self._file.write(np.ascontiguousarray(rows, dtype=self._dtype).data)
            self._written += len(rows)

    def __enter__(self) -> RowWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, *details: object) -> None:
        if kind is not None:
            with suppress(OSError):
                self._close()
            return
        with writing(self._path):
            self._close()
        if self._written != self._n_rows:
            raise DataError(
                f"{self._path.name}: {self._written} windows of the {self._n_rows} planned"
            )

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()


def save_array(path: Path, values: NDArray[Any]) -> None:
    """Write a small array as `.npy`.

    Raises:
        DataError: The file cannot be written.
    """
    with writing(path), path.open("wb") as file:
        np.save(file, values, allow_pickle=False)


def save_meta(folder: Path, meta: Mapping[str, Any]) -> None:
    """Write the description of a cache folder.

    Raises:
        DataError: The file cannot be written.
    """
    path = folder / META
    with writing(path):
        path.write_text(json.dumps(meta, indent=1, allow_nan=False), encoding="utf-8")
