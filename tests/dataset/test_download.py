"""Download without a network: what is there, what is missing, what a broken line leaves."""

from __future__ import annotations

import socket
import sys
from pathlib import Path
from typing import Any

import pytest
import wfdb

from ecgexp.dataset import download as module
from ecgexp.dataset.download import download
from ecgexp.errors import DataError


@pytest.fixture
def remote(monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """A PhysioNet of two records; deleting a file from it makes the line break there."""
    files = {f"{record}.{kind}": f"{record}{kind}".encode() for record in ("100", "101")
             for kind in ("hea", "atr", "dat")}  # fmt: skip

    def fetch(name: str, folder: str, wanted: list[str]) -> None:
        sys.stdout.write("Downloading files...")
        for file in wanted:
            if file not in files:
                raise ConnectionError("line broke")
            (Path(folder) / file).write_bytes(files[file])

    monkeypatch.setattr(module, "_check_reachable", lambda: None)
    monkeypatch.setattr(wfdb.io, "get_record_list", lambda name: ["100", "101"])
    monkeypatch.setattr(wfdb, "dl_files", fetch)
    return files


def test_fetches_what_is_missing(
    tmp_path: Path, remote: dict[str, bytes], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = download("mitdb", tmp_path, progress=False)
    assert folder == tmp_path / "mitdb"
    assert sorted(path.name for path in folder.iterdir()) == sorted([*remote, "RECORDS"])
    (folder / "101.dat").unlink()
    (folder / "100.dat").write_bytes(b"mine")
    download("mitdb", tmp_path, progress=False)
    assert (folder / "101.dat").read_bytes() == b"101dat"
    assert (folder / "100.dat").read_bytes() == b"mine"
    assert capsys.readouterr().out == ""


def test_a_broken_line_leaves_no_half_record(tmp_path: Path, remote: dict[str, bytes]) -> None:
    missing = remote.pop("101.dat")
    with pytest.raises(DataError, match=r"cannot fetch mitdb from physionet\.org \(line broke\)"):
        download("mitdb", tmp_path, progress=False)
    names = sorted(path.name for path in (tmp_path / "mitdb").iterdir())
    assert names == ["100.atr", "100.dat", "100.hea"]
    remote["101.dat"] = missing
    download("mitdb", tmp_path, progress=False)


def test_offline_names_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*arguments: Any, **named: Any) -> Any:
        raise OSError("Name or service not known")

    monkeypatch.setattr(socket, "create_connection", offline)
    monkeypatch.setattr(module.urllib.request, "getproxies", dict)
    with pytest.raises(DataError) as caught:
        download("mitdb", tmp_path, progress=False)
    message = str(caught.value)
    assert "Name or service not known" in message
    assert f"Looked in {tmp_path / 'mitdb'} first: it holds no complete records" in message
    assert "paths.data (ECGEXP_DATA)" in message
    assert not (tmp_path / "mitdb").exists()


def test_a_complete_folder_needs_no_network(
    tmp_path: Path, remote: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    download("mitdb", tmp_path, progress=False)
    monkeypatch.setattr(wfdb.io, "get_record_list", None)
    assert download("mitdb", tmp_path, progress=True) == tmp_path / "mitdb"


def test_unknown_database(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"dataset=synthetic is nothing to download; .*: mitdb"):
        download("synthetic", tmp_path, progress=False)
