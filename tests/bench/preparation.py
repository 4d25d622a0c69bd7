"""Cold and warm preparation of real recordings."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.bench.figure import Figure

PREPARE = """
import sys, time
# torch and Lightning load first: the figure is about records
import ecgexp.dataset.annotated, ecgexp.dataset.collection
from ecgexp.config.compose import compose
from ecgexp.pipeline import build_data
job = compose("config", ["paths.home=" + sys.argv[1], *sys.argv[2:]])
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
    figures = []
    for name, overrides, at_most in (
        ("mitdb", ("dataset.task=beat",), 30.0),
        ("mitdb", ("dataset.task=window",), 30.0),
        ("cinc2017", (), 60.0),
    ):
        words = " ".join([name, *(text.partition("=")[2] for text in overrides)])
        folder = os.environ.get("ECGEXP_DATA")
        if folder is None or not (Path(folder) / name).is_dir():
            note = f"no ECGEXP_DATA/{name}"
            figures.append(Figure(name=f"{words}, cold", value=None, unit="", note=note))
            continue
        with tempfile.TemporaryDirectory() as home:
            cold = prepare_seconds(home, f"dataset={name}", *overrides)
            warm = prepare_seconds(home, f"dataset={name}", *overrides)
        figures += [
            Figure(name=f"{words}, cold", value=cold, unit="s", at_most=at_most),
            Figure(name=f"{words}, warm", value=warm, unit="s", at_most=1.0),
        ]
    return figures
