"""Headers and format 16 against wfdb, and each thing that can be wrong with a header."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import wfdb

from ecgexp.dataset.header import read_header
from ecgexp.dataset.records import read_signal
from ecgexp.errors import DataError
from tests.dataset.layouts import write_record


def same_as_wfdb(folder: Path, name: str) -> None:
    ours, theirs = read_header(folder, name), wfdb.rdheader(str(folder / name))
    assert (ours.fs_hz, ours.n_samples) == (theirs.fs, theirs.sig_len)
    assert list(ours.leads) == [text.strip() for text in theirs.sig_name]
    assert [s.gain for s in ours.signals] == theirs.adc_gain
    assert [s.baseline for s in ours.signals] == theirs.baseline
    assert [s.unit for s in ours.signals] == theirs.units
    assert [s.checksum for s in ours.signals] == theirs.checksum
    assert [s.storage for s in ours.signals] == theirs.fmt
    assert [s.byte_offset for s in ours.signals] == [o or 0 for o in theirs.byte_offset]
    assert [c.strip() for c in ours.comments] == [c.strip() for c in theirs.comments]
    expected = wfdb.rdrecord(str(folder / name)).p_signal.T
    np.testing.assert_allclose(read_signal(ours, ours.leads), expected, atol=1e-6)


def test_written_records_read_as_wfdb_reads_them(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    counts = rng.integers(-900, 900, (3, 500))
    write_record(tmp_path, "A00001", ("I", "II", "III"), counts, fs=300, comments=["Dx: 1,2"])
    same_as_wfdb(tmp_path, "A00001")
    for storage in ("16", "212", "24"):
        wfdb.wrsamp(
            f"r{storage}",
            fs=250.5,
            units=["mV", "uV"],
            sig_name=["V1", "V2"],
            p_signal=rng.normal(0, 0.5, (400, 2)),
            fmt=[storage] * 2,
            adc_gain=[200.0, 1.5],
            baseline=[10, -3],
            comments=["a comment"],
            write_dir=str(tmp_path),
        )
        header = read_header(tmp_path, f"r{storage}")
        expected = wfdb.rdrecord(str(tmp_path / f"r{storage}")).p_signal.T * [[1.0], [1e-3]]
        np.testing.assert_allclose(read_signal(header, ("V1", "V2")), expected, atol=1e-6)
        assert header.comments == ("a comment",)


def test_leads_come_in_the_order_asked_for(tmp_path: Path) -> None:
    counts = np.arange(30).reshape(3, 10)
    write_record(tmp_path, "r", ("I", "II", "III"), counts, fs=300)
    signal = read_signal(read_header(tmp_path, "r"), ("III", "I"))
    np.testing.assert_allclose(signal, counts[[2, 0]] / 1000, atol=1e-7)


def test_sample_marked_invalid(tmp_path: Path) -> None:
    counts = np.zeros((1, 100), dtype=np.int64)
    counts[0, 40] = -32768
    write_record(tmp_path, "r", ("ECG",), counts, fs=300, checksums=[0])
    with pytest.raises(
        DataError, match=r"record r, lead ECG: 1 of 100 values are not finite .* 40"
    ):
        read_signal(read_header(tmp_path, "r"), ("ECG",))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "index out of range"),
        ("r 1 300\n", "index out of range"),
        ("r one 300 100\n", "invalid literal"),
        ("r 1 0 100\nr.mat 16\n", "1 signals of 100 samples at 0 Hz"),
        ("r 2 300 100\nr.mat 16 1000/mV 16 0 0 0 0 I\n", "1 signal lines of 2"),
        ("r 1 300 100\nr.mat xy 1000/mV 16 0 0 0 0 I\n", "format 'xy'"),
        ("r 1 300 100\nr.mat 16 ?/mV 16 0 0 0 0 I\n", r"gain '\?/mV'"),
        ("r/3 1 300 100\nr_1 30\n", "several segments"),
    ],
)
def test_header_that_says_nonsense(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "r.hea").write_text(text)
    with pytest.raises(DataError, match=rf"r\.hea is not a readable WFDB header \(.*{reason}"):
        read_header(tmp_path, "r")


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "record"),
    [
        ("mitdb", "100"),
        ("mitdb", "114"),
        ("cinc2017", "training2017/A00001"),
        ("ptbxl", "records100/00000/00001_lr"),
    ],
)
def test_published_records(real_data: Callable[[str], Path], name: str, record: str) -> None:
    path = real_data(name) / name / record
    same_as_wfdb(path.parent, path.name)
