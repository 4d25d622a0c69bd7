"""`compare` on runs with known artefacts: what differs, and what is missing, is said."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from ecgexp.__main__ import main
from ecgexp.config.compose import compose
from ecgexp.errors import ConfigError, TrackingError
from ecgexp.pipeline import open_store
from ecgexp.selection.comparison import Comparison, Side, compare

LABELS = ("N", "AFIB")
LAYERS = "layer,operator,macs,instructions\n"


def made(home: Path, name: str, lr: float, layers: str, predicted: list[int] | None) -> str:
    job = compose("select", [f"paths.home={home}"])
    params = {"optimizer.lr": lr, "seed": 1, "paths.home": name}
    run = open_store(job.config).start(name=name, params=params, tags={})
    with run.active():
        run.log_metrics({"test/f1_macro": 1 - lr, "deploy/t/instructions": 100 * lr, "train/x": 1})
        folder = home / "files" / name
        folder.mkdir(parents=True)
        if layers:
            (folder / "layers.csv").write_text(LAYERS + layers)
            run.log_artefact(folder / "layers.csv", "deploy/t")
        if predicted is not None:
            y = np.array([0, 0, 1, 1])
            logits = np.eye(2, dtype=np.float32)[predicted]
            np.savez_compressed(folder / "test.npz", labels=np.array(LABELS), y=y, logits=logits)
            run.log_artefact(folder / "test.npz", "predictions")
    return run.run_id


@pytest.fixture(scope="module")
def runs(home: Path) -> tuple[str, str, str]:
    return (
        made(home, "a", 0.5, "conv,c,1,30\nconv,c,1,20\n", [0, 1, 1, 1]),
        made(home, "b", 0.25, "conv,c,1,15\ndense,d,1,10\n", [0, 0, 1, 0]),
        made(home, "bare", 0.25, "", None),
    )


def compared(home: Path, *run_ids: str) -> Comparison:
    return compare(compose("compare", [f"paths.home={home}", "device=t"]), run_ids)


def test_side_by_side(home: Path, runs: tuple[str, str, str]) -> None:
    comparison = compared(home, *runs[:2])
    assert {side.name: side.values for side in comparison.options} == {
        "optimizer.lr": ("0.5", "0.25")
    }
    figures = {side.name: side for side in comparison.figures}
    assert [*figures] == ["test/f1_macro", "deploy/t/instructions"]
    assert figures["test/f1_macro"].difference(1) == 0.25
    assert figures["test/f1_macro"].verdict(1) == "better"
    assert figures["deploy/t/instructions"].verdict(1) == "better"
    assert {side.name: side.values for side in comparison.layers} == {
        "conv": (30.0, 15.0),
        "conv (2)": (20.0, None),
        "dense": (None, 10.0),
        "sum": (50.0, 25.0),
    }
    assert [matrix.counts.tolist() for matrix in comparison.matrices] == [
        [[1, 1], [0, 2]],
        [[2, 0], [1, 1]],
    ]
    assert comparison.missing == ()


def test_verdicts() -> None:
    side = Side(name="x", values=(2.0, 3.0, 2.0, 1.0, None, float("nan")), is_cost=True)
    assert [side.verdict(i) for i in range(6)] == ["", "worse", "same", "better", "", ""]


def test_what_a_run_lacks_is_said_with_its_remedy(home: Path, runs: tuple[str, str, str]) -> None:
    missing = compared(home, runs[0], runs[2]).missing
    assert len(missing) == 2
    assert f"`ecgexp deploy run_id={runs[2]} target=t deploy.profile=layers`" in missing[0]
    assert f"run {runs[2]} has no predictions/test.npz" in missing[1]


def test_bad_runs(home: Path, runs: tuple[str, str, str]) -> None:
    with pytest.raises(ConfigError, match="name two or more different runs"):
        compared(home, runs[0])
    with pytest.raises(ConfigError, match="name two or more different runs"):
        compared(home, runs[0], runs[0])
    with pytest.raises(TrackingError, match="'abc' is not a run id"):
        compared(home, runs[0], "abc")
    with pytest.raises(TrackingError, match="0000: no such run in sqlite"):
        compared(home, runs[0], "0" * 32)


def test_command_prints_and_writes_a_page_that_needs_nothing(
    home: Path, runs: tuple[str, str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["compare", *runs[:2], f"paths.home={home}", "device=t", f"output={tmp_path / 'out'}"]
    assert main(words) == 0
    printed = capsys.readouterr().out
    for text in ("A: a ", "optimizer.lr", "0.75  +0.25", "-50.0 %", "conv (2)", "A, float"):
        assert text in printed, text
    assert (tmp_path / "out" / "compare.png").read_bytes().startswith(b"\x89PNG")
    page = (tmp_path / "out" / "compare.html").read_text()
    assert "optimizer.lr" in page
    assert "data:image/png;base64," in page
    for text in ('src="http', "<link", "@import", "url("):
        assert text not in page
    assert main([*words, "format=json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["layers"]["sum"] == [50.0, 25.0]
    assert told["confusion"][0]["counts"] == [[1, 1], [0, 2]]


def test_an_output_that_cannot_be_written(
    home: Path, runs: tuple[str, str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["compare", *runs[:2], f"paths.home={home}", "device=t", "output=/dev/null/x"]
    assert main(words) == 2
    assert "output=/dev/null/x cannot be written" in capsys.readouterr().err
