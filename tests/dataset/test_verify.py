"""Every fault of a data set is named at once; what is sound is counted."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ecgexp.dataset import progress as show
from ecgexp.dataset import published
from ecgexp.dataset.source import Place
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


def test_counts_and_lists_are_compared_with_the_publishers(
    tmp_path: Path, option: Make, database: Any
) -> None:
    (database.folder / "RECORDS").write_text("100\n101\n234\n")
    only = "dataset.tasks.beat.{}_records=[{}]".format
    patients = "dataset.tasks.beat.n_val_patients=1"
    data = option("mitdb", only("train", "100, 101, 102, 103"), only("test", 110), patients)
    assert verify(data, progress=False).checks == (
        "mitdb: 5 recordings are here, 48 were published: a part of the database",
        "mitdb: RECORDS names 3 recordings, 1 are not here, the first is 234",
        "mitdb: no SHA256SUMS.txt beside the recordings: files not compared with it",
    )
    whole = published.compare(
        Place(name="mitdb", folder=database.folder, n_records=48), track=show.silent
    )
    assert whole.checks[0] == "mitdb: 48 recordings are here, 48 were published"
    assert option("synthetic").source.places() == ()


def test_files_are_compared_with_the_publishers_checksums(tmp_path: Path, option: Make) -> None:
    folder = tmp_path / "data" / "lsad"
    write_lsad(folder, ["426783006", "426177001", "164889003", "427084000"] * 10)
    files = sorted(path for path in folder.rglob("JS*") if path.is_file())
    sums = [f"{hashlib.sha256(p.read_bytes()).hexdigest()} {p.relative_to(folder)}" for p in files]
    (folder / "SHA256SUMS.txt").write_text("\n".join([*sums, "00 LICENSE.txt"]) + "\n")
    found = verify(option("lsad"), progress=False)
    assert (found.faults, found.checks[-1]) == (
        (),
        "lsad: 80 files compared with SHA256SUMS.txt; 1 files it names are not here",
    )
    header = next(folder.rglob("JS00003.hea"))
    header.write_text(header.read_text().replace("Age: 47", "Age: 48"))
    (fault,) = verify(option("lsad"), progress=False).faults
    assert fault.startswith(f"{header}: its SHA-256 is not the one of SHA256SUMS.txt: the file is")


def test_what_was_published_broken_is_passed_over_and_named(tmp_path: Path, option: Make) -> None:
    folder = tmp_path / "data" / "lsad"
    write_lsad(folder, ["426783006", "426177001", "164889003", "427084000"] * 10)
    whole = next(folder.rglob("JS00001.hea"))
    broken = whole.with_name("JS01052.hea")
    # A line feed is lost: twelve signals are promised and eleven are described.
    broken.write_text(whole.read_text().replace("2000 \n", "2000 ").replace("JS00001", "JS01052"))
    shutil.copy(whole.with_suffix(".mat"), broken.with_suffix(".mat"))
    found = verify(option("lsad"), progress=False)
    assert (found.n_records, found.faults) == (40, ())
    assert found.checks[:2] == (
        "lsad: 41 recordings are here, 45,152 were published: a part of the database",
        "lsad: left out, damaged as published: JS01052",
    )
    with pytest.raises(DataError, match=r"JS01052\.hea is not a readable WFDB header"):
        option("lsad", "dataset.recordings.damaged=[]").prepare(progress=False)


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "count"),
    [("mitdb", "48 recordings are here, 48"), ("mlii17", "1,000 recordings are here, 1,000"),
     ("cinc2017", "8,528 were published"), ("ptbxl", "21,799 were published"),
     ("lsad", "45,152 were published")],
)  # fmt: skip
def test_real_folders_are_counted(
    real_data: Callable[[str], Path], option: Make, name: str, count: str
) -> None:
    (place,) = option(name, data_dir=real_data(name)).source.places()
    assert count in published.compare(place, track=show.silent).checks[0]
