"""Cold and warm preparation of the MIT-BIH records."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.bench.figure import Figure

PREPARE = """
import sys, time
import ecgexp.dataset.annotated  # torch and Lightning load first: the figure is about records
from ecgexp.config.compose import compose
from ecgexp.pipeline import build_data
job = compose("config", ["dataset=mitdb", "paths.home=" + sys.argv[1], *sys.argv[2:]])
start = time.perf_counter()
build_data(job.config).prepare(progress=False)
print(time.perf_counter() - start)
"""


def prepare_seconds(home: str, *overrides: str) -> float:
    done = subprocess.run(
        [sys.executable, "-c", PREPARE, home, *overrides],
        check=True,
        capture_output=True,
        text=True,
    )
    return float(done.stdout.strip().splitlines()[-1])


def measure() -> list[Figure]:
    folder = os.environ.get("ECGEXP_DATA")
    if folder is None or not (Path(folder) / "mitdb").is_dir():
        return [Figure(name="mitdb preparation", value=None, unit="", note="no ECGEXP_DATA/mitdb")]
    figures = []
    for task in ("beat", "window"):
        with tempfile.TemporaryDirectory() as home:
            cold = prepare_seconds(home, f"dataset.task={task}")
            warm = prepare_seconds(home, f"dataset.task={task}")
        figures += [
            Figure(name=f"mitdb {task}, cold", value=cold, unit="s", at_most=30.0),
            Figure(name=f"mitdb {task}, warm", value=warm, unit="s", at_most=1.0),
        ]
    return figures
