"""A folder that has never been seen: every format, every flaw."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import wfdb

from ecgexp.__main__ import main
from ecgexp.config.build import build
from ecgexp.config.compose import compose
from ecgexp.errors import ConfigError
from ecgexp.predict import windowing
from ecgexp.quantization.bundle import read_bundle
from ecgexp.quantization.reference import run_onnx
from ecgexp.types import SignalSpec
from tests.predict.edf import write_edf

FS_HZ = 250
SMALL = (
    "debug=smoke", "dataset.n_patients=24", "dataset.windows_per_patient=4",
    "architecture=cnn_small", "trainer.progress=never", "quantization.n_calibration=16",
    "quantization.max_drop=null", "deploy=none", "format=json",
)  # fmt: skip


def ecg(seconds: float, fs_hz: float = FS_HZ, seed: int = 0) -> np.ndarray:
    t = np.arange(round(seconds * fs_hz)) / fs_hz
    random = np.random.default_rng(seed)
    beats = np.exp(-0.5 * ((t % 0.8 - 0.3) / 0.012) ** 2)
    return beats + 0.1 * np.sin(2 * np.pi * 0.3 * t) + random.normal(0, 0.02, t.size)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    home = tmp_path_factory.mktemp("home")
    assert main(["run", *SMALL, f"paths.home={home}"]) == 0
    (folder,) = (home / "runs").iterdir()
    return home, folder.name


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "recordings"
    (made / "ward").mkdir(parents=True)
    np.save(made / "good.npy", ecg(10))
    np.save(made / "long.npy", ecg(34))
    np.save(made / "flat.npy", np.zeros(2500))
    np.save(made / "hole.npy", np.where(np.arange(2500) == 77, np.nan, ecg(10)))
    (made / "torn.npy").write_bytes(b"\x93NUMPY nonsense")
    np.save(made / "objects.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    np.savetxt(made / "ward" / "plain.csv", ecg(10), delimiter=",")
    np.savetxt(made / "named.csv", ecg(10), delimiter=",", header="V5", comments="")
    (made / "text.csv").write_text("II\n0.1\nhello\n")
    write_edf(made / "short.edf", ecg(4)[None], FS_HZ, ["II"])
    (made / "torn.edf").write_bytes(b"0       X")
    wfdb.wrsamp(
        "fast", fs=500, units=["mV"], sig_name=["II"], p_signal=ecg(12, 500)[:, None],
        fmt=["16"], write_dir=str(made),
    )  # fmt: skip
    (made / "notes.txt").write_text("not a recording")
    return made


def predict(home: Path, run_id: str, folder: Path, *words: str) -> int:
    return main(["predict", f"run_id={run_id}", f"input={folder}", f"paths.home={home}", *words])


def test_every_format_and_every_flaw(
    trained: tuple[Path, str], folder: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    home, run_id = trained
    out = tmp_path / "answers"
    words = (f"fs_hz={FS_HZ}", f"output={out}", "format=json")
    assert predict(home, run_id, folder, *words) == 0
    shown = json.loads(capsys.readouterr().out)
    answers = {answer["name"]: answer for answer in shown["answers"]}
    labelled = {"good", "long", "ward/plain", "named", "short", "fast"}
    assert {name for name, answer in answers.items() if answer["label"]} == labelled
    for name, message in {
        "flat": "flat line", "hole": "1 of 2500 samples are not finite",
        "torn": "not a readable", "objects": "not a readable array", "text": "not a readable table",
    }.items():  # fmt: skip
        assert message in answers[name]["remark"]
    assert "4.0 s, " in answers["short"]["remark"]
    assert "resampled from 500 to 100 Hz" in answers["fast"]["remark"]
    assert "lead V5 as" in answers["named"]["remark"]
    assert answers["long"]["n_windows"] >= 1
    lines = (out / "answers.txt").read_text().splitlines()
    assert sorted(line.split(",")[0] for line in lines) == sorted(labelled)
    rows = {row["name"]: row for row in csv.DictReader((out / "predictions.csv").open())}
    of_good = [float(value) for key, value in rows["good"].items() if key.startswith("p_")]
    assert sum(of_good) == pytest.approx(1, abs=1e-5)
    assert rows["flat"]["label"] == ""

    assert predict(home, run_id, folder, f"fs_hz={FS_HZ}", f"output={out}") == 0
    text = capsys.readouterr().out
    assert "6 without a label" in text
    assert "flat line" in text


def test_the_label_is_what_the_exported_network_says(
    trained: tuple[Path, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home, run_id = trained
    (tmp_path / "in").mkdir()
    x = ecg(10, seed=3)
    np.save(tmp_path / "in" / "one.npy", x)
    bundle = read_bundle(home / "artifacts" / "ecgexp" / run_id / "artifacts" / "bundle")
    config = compose("config", list(SMALL), []).config
    chain = build(config["preprocessing"], path="preprocessing")
    filtered, fs_hz = chain.apply_record(x[None], FS_HZ)
    window, _ = chain.apply_window(filtered[None], fs_hz)
    for network, path in (
        ("deployed", bundle.onnx),
        ("float", bundle.folder / "model_float.onnx"),
    ):
        words = (f"fs_hz={FS_HZ}", f"network={network}", "format=json")
        assert predict(home, run_id, tmp_path / "in", *words) == 0
        (answer,) = json.loads(capsys.readouterr().out)["answers"]
        logits = run_onnx(path, window)[0].astype(float)
        odds = np.exp(logits - logits.max())
        assert answer["label"] == bundle.spec.labels[int(logits.argmax())]
        assert answer["probabilities"] == pytest.approx(odds / odds.sum(), abs=1e-6)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["input=/nowhere"], "input=/nowhere: no such folder"),
        ([], "input is null: give input=FOLDER"),
        (["input={empty}"], "no recording in it; known are .hea, .edf, .csv, .npy"),
        (["input={one}"], "one.npy does not say its sampling rate; give it with fs_hz=HZ"),
        (["input={one}", "network=best"], "network='best': use one of deployed, float"),
        (["input={one}", "fs=250"], "fs"),
    ],
)
def test_bad_words(
    trained: tuple[Path, str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    message: str,
) -> None:
    home, run_id = trained
    (tmp_path / "empty").mkdir()
    (tmp_path / "one").mkdir()
    np.save(tmp_path / "one" / "one.npy", ecg(10))
    filled = [word.format(empty=tmp_path / "empty", one=tmp_path / "one") for word in words]
    assert main(["predict", f"run_id={run_id}", f"paths.home={home}", *filled]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error


def test_beats_are_refused() -> None:
    spec = SignalSpec(fs_hz=100.0, leads=("II",), n_samples=300, labels=("N", "V"))
    dataset = {"task": "beat", "tasks": {"beat": {"before_s": 1.5}}}
    with pytest.raises(ConfigError, match="trained on beats around known R peaks"):
        windowing(dataset, spec)
