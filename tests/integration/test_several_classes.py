"""Windows of several classes at once: every stage serves them as they are, or refuses."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score

from ecgexp.__main__ import main
from tests.dataset.layouts import write_ptbxl

LABELS = ["NORM", "MI", "STTC", "CD", "HYP"]
CODES = [
    *("{'NORM': 100.0}", "{'IMI': 80.0}", "{'NDT': 100.0}", "{'LAFB': 100.0}"),
    "{'LVH': 9.0, 'NDT': 50.0}",
]
WORDS = (
    *("dataset=ptbxl", "dataset.task=superclasses", "architecture=cnn_small", "debug=smoke"),
    *("trainer.progress=never", "quantization.n_calibration=16", "quantization.max_drop=null"),
    "format=json",
)

pytestmark = pytest.mark.slow


def test_from_the_table_to_the_answers(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, places = tmp_path / "data", (f"paths.home={home}", f"paths.data={tmp_path / 'data'}")
    write_ptbxl(data / "ptbxl", [CODES[(i + i // 10) % 5] for i in range(150)])
    assert main(["run", *WORDS, *places, "objective=multilabel", "deploy=none"]) == 0
    done = json.loads(capsys.readouterr().out)
    folder = home / "runs" / done["run_id"]

    for name, figures in (("test", "test/"), ("test_quantized", "quantization/int8_")):
        with np.load(folder / "predictions" / f"{name}.npz") as file:
            assert file["labels"].tolist() == LABELS
            named = 1 / (1 + np.exp(-file["logits"])) >= file["threshold"]
            y, records = file["y"], file["record"]
        assert done["metrics"][f"{figures}accuracy"] == pytest.approx(accuracy_score(y, named))
        f1 = f1_score(y, named, average="macro", zero_division=0.0)
        assert done["metrics"][f"{figures}f1_macro"] == pytest.approx(f1)
    kinds = [(int(name[:5]) - 1 + (int(name[:5]) - 1) // 10) % 5 for name in records]
    rows = np.eye(5, dtype=int)
    rows[4, 2] = 1
    np.testing.assert_array_equal(y, rows[kinds])
    assert 0 <= done["metrics"]["quantization/agreement"] <= 1
    assert "A window can be of several classes" in (folder / "run.html").read_text("utf-8")
    assert (folder / "error_examples.png").is_file()
    assert not (folder / "confusion_matrix.png").exists()

    assert main(["gather", "accuracy >= 0", places[0], "n_draws=10", "format=json"]) == 0
    gathered = json.loads(capsys.readouterr().out)
    assert gathered["figures"]["accuracy"]["value"] == done["metrics"]["test/accuracy"]

    new = tmp_path / "new"
    new.mkdir()
    for path in (data / "ptbxl").rglob("0000[12]_lr.*"):
        shutil.copy(path, new)
    words = (f"run_id={done['run_id']}", f"input={new}", "format=json")
    assert main(["predict", *words, places[0]]) == 0
    for answer in json.loads(capsys.readouterr().out)["answers"]:
        named = [k for k, p in zip(LABELS, answer["probabilities"], strict=True) if p >= 0.5]
        assert answer["label"] == ("+".join(named) or "none")

    for verb in ("deploy", "export"):
        assert main([verb, f"run_id={done['run_id']}", "target=host", places[0]]) == 2
        assert "one class and its softmax probability: use deploy=none" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "CrossEntropy is not for windows that can have several of the classes NORM, MI"),
        (("objective=multilabel",), "firmware and C library say one class and its softmax"),
        (
            ("objective=multilabel", "deploy=none", "dataset.sampling.kind=class"),
            "dataset.sampling.kind=class: a window can have several of the classes",
        ),
    ],
)
def test_what_cannot_serve_them_says_so_before_training(
    home: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    message: str,
) -> None:
    places = (f"paths.home={home}", f"paths.data={tmp_path / 'data'}")
    write_ptbxl(tmp_path / "data" / "ptbxl", [CODES[(i + i // 10) % 5] for i in range(100)])
    assert main(["run", *WORDS, *places, "target=host", *words]) == 2
    assert message in capsys.readouterr().err
    assert not list(home.glob("runs/*/checkpoints"))
