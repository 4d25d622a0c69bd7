"""A search against the bare training calls in it; two workers against one; an infeasible trial.

In one process the calls of the pipeline inside a search are timed: what a trial takes beyond its
call, and what the search's own hooks take inside it, is overhead. Nothing is compiled here.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.bench.figure import Figure

N_TRIALS = 6
SMALL = (
    "search=smoke",
    "dataset.n_patients=160",
    "trainer.max_epochs=4",
    "trainer.limit_train_batches=1.0",
    "trainer.progress=never",
)
INSIDE = """
import json, sys, time
from datetime import timedelta
from pathlib import Path
from ecgexp.config.compose import compose
from ecgexp.search import driver as module
from ecgexp.search.trial import TrialJob

spent = {"call": 0.0, "hooks": 0.0, "cpu": 0.0}

def timed(function, name, sign):
    def call(*arguments, **named):
        start, cpu = time.perf_counter(), time.process_time()
        try:
            return function(*arguments, **named)
        finally:
            spent[name] += time.perf_counter() - start
            spent["cpu"] += sign * (time.process_time() - cpu)
    return call

module.run = timed(module.run, "call", -1)
TrialJob.started = timed(TrialJob.started, "hooks", 1)
TrialJob.prepared = timed(TrialJob.prepared, "hooks", 1)
words = sys.argv[1:]
driver = module.Driver(
    job=compose("search", words), words=words, folders=[], is_worker=False
)
start, cpu = time.perf_counter(), time.process_time()
driver.work()
spent["all"] = time.perf_counter() - start
spent["cpu"] += time.process_time() - cpu
trials = driver.shared.trials
spent["each"] = [t.duration.total_seconds() for t in trials]
print(json.dumps(spent))
"""


def inside(*words: str) -> dict[str, float | list[float]]:
    """Return the seconds of a search in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", INSIDE, *words],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    found: dict[str, float | list[float]] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def overhead(home: Path) -> Figure:
    spent = inside(*SMALL, f"paths.home={home}", f"search.n_trials={N_TRIALS}")
    whole, call, hooks = (float(spent[key]) for key in ("all", "call", "hooks"))  # type: ignore[arg-type]
    each = (whole - call + hooks) / N_TRIALS
    share = 100 * (whole - call + hooks) / (call - hooks)
    cpu = float(spent["cpu"]) / N_TRIALS  # type: ignore[arg-type]
    note = f"({share:.1f} % of {call / N_TRIALS:.1f} s; {cpu:.2f} s of CPU)"
    name = "search, overhead per trial over the bare call"
    return Figure(name=name, value=each, unit="s", at_most=1.0, note=note)


def rejection(home: Path) -> Figure:
    limit = ("deploy=tvm", "deploy.limits.flash_bytes=500", "search.study=small")
    spent = inside(*SMALL, *limit, f"paths.home={home}", "search.n_trials=5")
    # The first one reads the data to learn the shape of a window.
    each = statistics.median(spent["each"][1:])  # type: ignore[index]
    return Figure(name="search, infeasible trial rejected", value=each, unit="s", at_most=1.0)


def span_s(home: Path, n_workers: int) -> float:
    """Return the seconds from the first trial's start to the last one's end."""
    import optuna

    # Real trials take half a minute or more; of one that takes two seconds half is start-up.
    words = [*SMALL, "trainer.max_epochs=40", f"paths.home={home}", "--quiet"]
    words.append(f"search.n_workers={n_workers}")
    subprocess.run(
        [sys.executable, "-m", "ecgexp", "search", *words, f"search.n_trials={N_TRIALS}"],
        check=True,
        capture_output=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    study = optuna.load_study(study_name="smoke", storage=f"sqlite:///{home / 'optuna.db'}")
    trials = study.get_trials()
    begun = min(t.datetime_start for t in trials if t.datetime_start)
    ended = max(t.datetime_complete for t in trials if t.datetime_complete)
    return (ended - begun).total_seconds()


def two_workers(home: Path) -> Figure:
    name = "search, two workers against one"
    if len(os.sched_getaffinity(0)) < 2:
        return Figure(name=name, value=None, unit="", note="one core")
    seconds = []
    for n_workers in (1, 2):
        # Homes of their own, or the second study would take over the networks of the first.
        own = home / str(n_workers)
        own.mkdir()
        (own / "cache").symlink_to(home / "cache")
        seconds.append(span_s(own, n_workers))
    note = f"({seconds[0]:.1f} s against {seconds[1]:.1f} s)"
    return Figure(name=name, value=seconds[0] / seconds[1], unit="times", at_least=1.7, note=note)


def measure() -> list[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        return [overhead(home), rejection(home), two_workers(home)]


if __name__ == "__main__":
    start = time.perf_counter()
    for figure in measure():
        sys.stdout.write(f"{figure}\n")
    sys.stdout.write(f"{time.perf_counter() - start:.0f} s\n")
