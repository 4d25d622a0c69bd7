"""Every fault of a data set is named at once; what is sound is counted."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ecgexp.dataset.verify import verify
from ecgexp.errors import DataError
from tests.dataset.layouts import write_cinc2017, write_lsad, write_record

Make = Callable[..., Any]
LABELS = {f"A{i:05d}": "NAO~"[i % 4] for i in range(1, 21)}


def test_sound_recordings_are_counted(tmp_path: Path, option: Make) -> None:
    folder = tmp_path / "data" / "cinc2017"
    folder.mkdir(parents=True)
    write_cinc2017(folder, LABELS, folder / "REFERENCE.csv")
    shutil.copy(folder / "A00001.mat", folder / "A00005.mat")
    (folder / "A00005.hea").write_text(
        (folder / "A00001.hea").read_text().replace("A00001", "A00005")
    )
    write_record(folder, "A00008", ("ECG",), np.full((1, 2100), 7), fs=300, checksums=[0])
    found = verify(option("cinc2017", "dataset.window_s=6"), progress=False)
    assert (found.name, found.n_records, found.n_windows) == ("cinc2017-rhythm", 20, 20)
    assert found.classes == {"N": 5, "A": 5, "O": 5, "noise": 5}
    assert found.faults == ()
    assert "record A00005: the same samples as record A00001" in found.remarks
    assert "record A00008: lead ECG is flat from end to end" in found.remarks
    assert "record A00010: 5 s, shorter than a window of 6 s" in found.remarks


def test_every_damaged_recording_is_named(tmp_path: Path, option: Make) -> None:
    folder = tmp_path / "data" / "lsad"
    write_lsad(folder, ["426783006", "426177001", "164889003", "427084000"] * 10)
    for name in ("JS00002", "JS00031"):
        path = next(folder.rglob(f"{name}.mat"))
        content = bytearray(path.read_bytes())
        content[24:4824] = bytes(4800)
        path.write_bytes(bytes(content))
    found = verify(option("lsad"), progress=False)
    assert len(found.faults) == 2
    assert all("have checksum" in fault for fault in found.faults)
    assert [name in "".join(found.faults) for name in ("JS00002", "JS00031")] == [True, True]


def test_command_names_faults_or_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    from ecgexp.cli.data import main

    folder = tmp_path / "cinc2017"
    folder.mkdir()
    write_cinc2017(folder, LABELS, folder / "REFERENCE.csv")
    words = ["verify", "dataset=cinc2017", f"paths.data={tmp_path}", f"paths.home={tmp_path}"]
    assert main(words) == 0
    assert "cinc2017-rhythm: 20 recordings are sound; 20 windows (N 5, A 5," in (
        capsys.readouterr().out
    )
    counts = np.zeros((1, 3000), dtype=np.int64)
    counts[0, 5] = -32768
    write_record(folder, "A00007", ("ECG",), counts, fs=300, checksums=[0])
    with pytest.raises(
        DataError, match=r"1 of 20 recordings cannot be used\n- record A00007, lead"
    ):
        main(words)
