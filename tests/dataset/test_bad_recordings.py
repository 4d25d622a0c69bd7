"""Every way a recording can be bad has one message, and leaves no cache behind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ecgexp.errors import ConfigError, DataError

Make = Callable[..., Any]


@pytest.fixture
def refused(mitdb: Make, tmp_path: Path) -> Callable[..., None]:
    """Prepare, expect the message, and look for half a cache."""

    def check(message: str, task: Any = None, **changes: Any) -> None:
        with pytest.raises(DataError, match=message):
            mitdb(task, **changes).prepare(progress=False)
        left = [path for path in (tmp_path / "cache").glob("*") if path.suffix != ".lock"]
        assert left == []

    return check


def test_good_records_are_accepted(database: Any, mitdb: Make) -> None:
    assert mitdb().class_counts == (60, 60, 60)


def test_missing_folder(tmp_path: Path, refused: Make) -> None:
    refused(
        r"no record of mitdb \(\*\.hea\) in .*/data/mitdb or .*/data, .*paths\.data.*"
        r"ecgexp data download dataset=mitdb"
    )
    refused(r"paths\.data is not set; point paths\.data \(ECGEXP_DATA\)", data_dir=None)


@pytest.mark.parametrize("extension", ["hea", "dat", "atr"])
def test_missing_file(database: Any, refused: Make, extension: str) -> None:
    (database.folder / f"101.{extension}").unlink()
    refused(rf"mitdb/101\.{extension} is missing; complete the folder")


def test_truncated_signal_file(database: Any, refused: Make) -> None:
    path = database.folder / "102.dat"
    path.write_bytes(path.read_bytes()[:30000])
    refused(
        r"102\.dat holds 10000 samples per lead \(30000 bytes\), but 102\.hea promises 21600: "
        r"the file is truncated or the header is wrong; download"
    )


def test_header_promises_more_samples(database: Any, refused: Make) -> None:
    path = database.folder / "110.hea"
    path.write_text(path.read_text().replace(" 21600", " 650000"))
    refused(r"110\.dat holds 21600 samples per lead .* but 110\.hea promises 650000")


def test_damaged_signal_file_of_the_right_size(database: Any, refused: Make) -> None:
    path = database.folder / "101.dat"
    content = bytearray(path.read_bytes())
    content[3000:3010] = bytes(10)
    path.write_bytes(bytes(content))
    refused(r"101\.dat: the samples of lead MLII have checksum \d+, 101\.hea says \d+")


def test_unreadable_header(database: Any, refused: Make) -> None:
    (database.folder / "101.hea").write_text("this is no header\n")
    refused(r"101\.hea is not a readable WFDB header")


def test_record_without_the_lead(database: Any, refused: Make) -> None:
    database.write("103", leads=("V5", "V2"))
    refused(r"record 103 has no lead MLII, its leads are V5, V2; choose another dataset\.lead")


def test_annotation_outside_the_signal(database: Any, refused: Make) -> None:
    database.annotate("101", np.array([100, 21600]), ["N", "V"])
    refused(r"101\.atr: annotation 1 \('V'\) lies at sample 21600, outside the signal of 21600")


def test_unreadable_annotations(database: Any, refused: Make) -> None:
    (database.folder / "101.atr").write_bytes(b"\x01")
    refused(r"101\.atr is not a readable WFDB annotation file")


def test_signal_of_nothing_but_nan(database: Any, refused: Make) -> None:
    database.write("102", signal=np.full((21600, 2), np.nan))
    refused(r"record 102, lead MLII: every value is not finite .* first at sample 0; repair")


def test_some_values_are_nan(database: Any, refused: Make) -> None:
    signal = np.random.default_rng(0).normal(0, 0.5, (21600, 2)).clip(-4, 4)
    signal[5000:5003, 0] = np.nan
    database.write("102", signal=signal)
    refused(r"record 102, lead MLII: 3 of 21600 values are not finite .* first at sample 5000")


def test_nan_in_a_lead_that_is_not_used(database: Any, mitdb: Make) -> None:
    signal = np.random.default_rng(0).normal(0, 0.5, (21600, 2)).clip(-4, 4)
    signal[:, 1] = np.nan
    database.write("102", signal=signal)
    mitdb().prepare(progress=False)


def test_signal_without_voltage_unit(database: Any, refused: Make) -> None:
    database.write("102", units="mmHg")
    refused(r"102\.hea: lead MLII has unit 'mmHg'; a voltage is needed")


def test_class_without_training_example(database: Any, refused: Make) -> None:
    for name in ("100", "101", "102", "103"):
        database.write(name, symbols=("N", "V"))
    refused(r"class S has no training example \(training windows: N 90, S 0, V 90\); take it out")


def test_label_that_the_map_does_not_know(database: Any, refused: Make) -> None:
    database.write("103", symbols=("N", "A", "V", "?"))
    refused(
        r"record 103, sample 1260: the label map does not know the label '\?'; add it to a class "
        r"of dataset\.tasks\.beat\.classes or to dataset\.tasks\.beat\.ignored"
    )


def test_rhythm_that_the_map_does_not_know(database: Any, refused: Make, rhythm_task: Make) -> None:
    database.write("103", notes=["(N", "(WHAT"])
    refused(
        r"record 103, sample 10800: the label map does not know the label 'WHAT'",
        rhythm_task(),
    )


def test_patient_on_two_sides(database: Any, refused: Make, beat_task: Make) -> None:
    database.write("201")
    database.write("202")
    refused(
        r"patient 201 lies in two splits: record 201 in (train|val), record 202 in test; take one",
        beat_task(train_records=[100, 101, 201], test_records=[202]),
    )


def test_record_on_two_sides(database: Any, refused: Make, beat_task: Make) -> None:
    refused(
        r"record 100 lies in two splits: record 100 in (train|val), record 100 in test",
        beat_task(test_records=[100]),
    )


def test_record_copied_under_another_name(database: Any, refused: Make) -> None:
    database.write("110", seed=101)
    refused(
        r"the same record lies in two splits: record 101 in (train|val) and record 110 in test "
        r"hold identical samples"
    )


def test_window_copied_into_another_record(database: Any, refused: Make) -> None:
    rng = np.random.default_rng(5)
    for name in ("100", "110"):
        signal = np.round(rng.normal(0, 0.5, (21600, 2)).clip(-4, 4) * 200) / 200
        signal[3600:7200] = np.round(np.sin(np.arange(3600) / 9)[:, None] * 200) / 200
        database.write(name, signal=signal)
    refused(
        r"the same window lies in two splits: record 100 at 10\.100 s in (train|val) and record "
        r"110 at 10\.100 s in test"
    )


def test_flat_stretches_are_no_copies(database: Any, mitdb: Make) -> None:
    for name in ("100", "110"):
        signal = np.random.default_rng(int(name)).normal(0, 0.5, (21600, 2)).clip(-4, 4)
        signal[3600:7200] = 0
        database.write(name, signal=signal)
    mitdb().prepare(progress=False)


def test_records_of_different_rates(database: Any, refused: Make) -> None:
    path = database.folder / "103.hea"
    path.write_text(path.read_text().replace(" 360 ", " 250 "))
    refused(r"record 103 is sampled at 250 Hz, 100 at 360 Hz; a data set needs one rate")


def test_unknown_task(mitdb: Make, beat_task: Make) -> None:
    with pytest.raises(ConfigError, match=r"dataset\.task='beat': choose one of beets"):
        mitdb(tasks={"beets": beat_task()})
