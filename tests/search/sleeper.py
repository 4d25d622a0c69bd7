"""A worker whose trials sleep: `python -m tests.search.sleeper URL STUDY N FOLDER SECONDS`."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

from ecgexp.search import pruner, sampler
from ecgexp.search.plan import Plan
from ecgexp.search.storage import Storage
from ecgexp.search.study import SharedStudy

SPACE = {"lr": {"key": "optimizer.optimizer.lr", "low": 0.001, "high": 0.1, "log": True}}


def plan(**changes: Any) -> Plan:
    """Return a plan of one objective over one key."""
    settings: dict[str, Any] = {
        "study": "sleep",
        "n_trials": 6,
        "n_workers": 1,
        "storage": None,
        "seed": 0,
        "heartbeat_s": 1,
        "max_deaths": 3,
        "confirm": None,
        "fixed": {},
        "objectives": {"val/f1_macro": "maximize"},
        "space": SPACE,
        "sampler": sampler.random,
        "pruner": pruner.none,
    }
    return Plan(**{**settings, **changes})


def shared(
    url: str, home: Path, settings: dict[str, Any] | None = None, **changes: Any
) -> SharedStudy:
    """Open a study as a worker does."""
    return SharedStudy(
        plan=plan(**changes),
        storage=Storage(url=url, home=home),
        max_epochs=4,
        settings=settings or {},
    )


def main(url: str, study: str, n_trials: str, folder: str, seconds: str) -> None:
    from optuna.trial import TrialState

    mine = shared(url, Path(folder), study=study, n_trials=int(n_trials))
    while True:
        claimed = mine.claim()
        if claimed is None:
            if not mine.others_run():
                return
            time.sleep(0.1)
            continue
        trial, words = claimed
        with (Path(folder) / f"trial-{trial.number}").open("a", encoding="utf-8") as stream:
            stream.write(f"{words}\n")
        with mine.alive(trial):
            time.sleep(float(seconds))
            mine.tell(trial, TrialState.COMPLETE, [trial.params["lr"]])


if __name__ == "__main__":
    main(*sys.argv[1:])
