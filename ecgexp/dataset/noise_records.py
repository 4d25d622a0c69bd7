"""Recorded noise without a heart in it, such as MIT's Noise Stress Test Database."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ecgexp.dataset.header import read_header
from ecgexp.dataset.records import read_signal
from ecgexp.errors import ConfigError, DataError
from ecgexp.preprocessing.resample import resample


class NoiseRecords:
    """Records of noise in WFDB layout, read when they are first drawn from."""

    def __init__(self, *, data_dir: str | None, database: str, records: Sequence[str]) -> None:
        """Say which records; nothing is read yet.

        Args:
            data_dir: `paths.data`.
            database: Folder below it.
            records: Names, for example bw (baseline wander), em (electrode motion), ma (muscle).

        Raises:
            ConfigError: No record is named.
        """
        if not records:
            raise ConfigError("augmentation: noise.records=[] names no record; use [bw, em, ma]")
        self._folder = None if data_dir is None else Path(data_dir).expanduser() / database
        self._records = tuple(records)
        self._at_rate: dict[float, tuple[NDArray[np.float32], ...]] = {}

    def signals(self, fs_hz: float) -> tuple[NDArray[np.float32], ...]:
        """Return each record (lead, sample) in mV at a rate.

        Args:
            fs_hz: Wanted sampling rate.

        Raises:
            DataError: The folder is unknown, or a record is missing or damaged.
        """
        if fs_hz not in self._at_rate:
            self._at_rate[fs_hz] = tuple(self._read(name, fs_hz) for name in self._records)
        return self._at_rate[fs_hz]

    def _read(self, name: str, fs_hz: float) -> NDArray[np.float32]:
        remedy = (
            "copy bw, em and ma (.hea, .dat) of the Noise Stress Test Database there, or choose "
            "another augmentation"
        )
        if self._folder is None:
            raise DataError(
                "augmentation: recorded noise needs recordings, but paths.data is not set; point "
                "paths.data (ECGEXP_DATA) to the folder that holds nstdb/"
            )
        for extension in ("hea", "dat"):
            if not (self._folder / f"{name}.{extension}").is_file():
                raise DataError(
                    f"augmentation: noise record {self._folder / name}.{extension} is missing; "
                    f"{remedy}"
                )
        header = read_header(self._folder, name)
        signal, _ = resample(read_signal(header, header.leads), header.fs_hz, to_hz=fs_hz)
        return np.asarray(signal, dtype=np.float32)
