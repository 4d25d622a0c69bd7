"""A sweep in this process: each job once, shared training once, one parent run, clear errors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from ecgexp.__main__ import main
from ecgexp.config.compose import compose
from ecgexp.tracking import names
from ecgexp.tracking.store import Found, Store

pytestmark = pytest.mark.slow

SMALL = (
    "debug=smoke",
    "dataset.n_patients=40",
    "dataset.windows_per_patient=4",
    "architecture=cnn_small",
    "trainer.progress=never",
    "quantization.n_calibration=32",
    "quantization.max_drop=null",
    "deploy=none",
    "format=json",
)


class Sweeps:
    """Runs commands on one home folder and looks at what they left."""

    def __init__(self, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.home, self._capsys = home, capsys
        self.store = Store(experiment="ecgexp", home=home)
        self.err = ""

    def __call__(self, *words: str) -> int:
        self._capsys.readouterr()
        code = main([*words, f"paths.home={self.home}"])
        self.out, self.err = self._capsys.readouterr()
        return code

    def how(self) -> list[str]:
        answer = json.loads(self.out)
        return [job["how"] for job in (answer if isinstance(answer, list) else [answer])]

    def runs(self) -> list[Found]:
        return self.store.search()

    def parents(self) -> list[Found]:
        return self.store.search(parents=True)

    def job(self, *words: str) -> Any:
        return compose("config", [*words, f"paths.home={self.home}"])


@pytest.fixture
def sweeps(home: Path, capsys: pytest.CaptureFixture[str]) -> Sweeps:
    return Sweeps(home, capsys)


def test_each_job_and_each_network_once(sweeps: Sweeps) -> None:
    words = ("run", "-m", *SMALL, "quantization.method=minmax,percentile")
    assert sweeps(*words) == 0
    assert sweeps.how() == ["", "reused"]
    (parent,) = sweeps.parents()
    assert (parent.status, parent.tags[names.KIND_TAG]) == ("FINISHED", "sweep")
    second, first = sweeps.runs()
    assert {run.tags[names.PARENT_TAG] for run in (first, second)} == {parent.run_id}
    assert second.tags[names.REUSED_TAG] == first.run_id
    for name in ("val/loss", "train/loss", "val/f1_macro", "test/f1_macro"):
        assert second.metrics[name] == first.metrics[name], name
    best = [sweeps.home / "runs" / run.run_id / "best.ckpt" for run in (first, second)]
    assert best[0].read_bytes() == best[1].read_bytes()
    artefacts = sweeps.home / "artifacts" / "ecgexp" / parent.run_id / "artifacts"
    rows = json.loads((artefacts / "sweep.json").read_text())
    assert [row["run_id"] for row in rows] == [first.run_id, second.run_id]
    assert "taking it over" in next(artefacts.glob("logs/002-*.log")).read_text()

    assert sweeps(*words) == 0
    assert sweeps.how() == ["skipped", "skipped"]
    assert f"run {first.run_id} is FINISHED (force=true runs it again)" in sweeps.err
    assert len(sweeps.runs()) == 2
    assert [run.run_id for run in sweeps.parents()] == [parent.run_id]

    assert sweeps(*words, "force=true") == 0
    assert sweeps.how() == ["", "reused"]
    again = sweeps.runs()[:2]
    assert again[0].tags[names.REUSED_TAG] == again[1].run_id
    assert len(sweeps.runs()) == 4


def test_a_dead_run_is_said_and_a_sweep_takes_it_up(sweeps: Sweeps) -> None:
    job = sweeps.job(*SMALL)
    tags = {names.FINGERPRINT_TAG: job.fingerprint}
    dead = sweeps.store.start(name="dead", params={}, tags=tags)
    dead.set_tags({names.PROCESS_START_TAG: "1000.0"})
    assert sweeps("run", *SMALL) == 0
    assert f"finish it with `ecgexp run resume={dead.run_id}`" in sweeps.err
    assert dead.status == "KILLED"
    assert len(sweeps.runs()) == 2


def test_the_same_job_or_sweep_twice_at_once(sweeps: Sweeps) -> None:
    job = sweeps.job(*SMALL)
    locks = sweeps.home / "locks"
    locks.mkdir(parents=True)
    with FileLock(locks / f"job-{job.fingerprint}.lock"):
        assert sweeps("run", *SMALL) == 2
    assert f"(fingerprint {job.fingerprint}) is already running" in sweeps.err
    assert sweeps.err.count("error:") == 1

    assert sweeps("run", "-m", *SMALL, "architecture.dropout=2.0,3.0") == 2
    (folder,) = (sweeps.home / "sweeps").iterdir()
    with FileLock(folder / "sweep.lock"):
        assert sweeps("run", "-m", *SMALL, "architecture.dropout=2.0,3.0") == 2
    assert f"{folder}: the same sweep is already running there" in sweeps.err
    assert [run.status for run in sweeps.parents()] == ["FAILED"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["run", "hydra/launcher=joblib"], "a launcher starts the jobs of a sweep; add -m"),
        (["run", "-m", "seed=1,2", "hydra/launcher=dask"], "there are basic, joblib"),
        (["run", "-m", "seed=1,2", f"resume={'0' * 32}"], "finishes one run; without -m"),
        (["run", "-m", "seed=-1,-2"], "seed=-2: use a whole number"),
        (["run", "-m", "seed=1,2", "force=perhaps"], "force='perhaps': use true or false"),
        (["run", "-m", "tracking.experiment=a,b"], "one sweep has one store"),
    ],
)
def test_bad_words_start_nothing(sweeps: Sweeps, words: list[str], message: str) -> None:
    assert sweeps(*words, *SMALL) == 2
    assert message in sweeps.err
    assert sweeps.runs() + sweeps.parents() == []
