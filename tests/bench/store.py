"""A store of 1,000 runs, and a fresh store that eight processes open at once."""

from __future__ import annotations

import os
import resource
import sqlite3
import statistics
import sys
import tempfile
import uuid
from pathlib import Path

from ecgexp.tracking.store import Store
from tests.bench.figure import Figure
from tests.bench.startup import seconds
from tests.tracking.crowd import open_at_once

N_RUNS, N_PARAMS, N_METRICS, N_EPOCHS = 1000, 130, 75, 20
REPEATS = 5
M55 = "deploy/corstone300_m55"


def fill(home: Path, n_runs: int) -> None:
    """Make one run as a job does, then copies of it by SQL: 1,000 jobs would take hours."""
    store = Store(experiment="ecgexp", home=home)
    run = store.start(
        name="first",
        params={f"group.key_{number}": number for number in range(N_PARAMS)},
        tags={"ecgexp.deployable": "true"},
    )
    figures = ["test/f1_macro", "quantization/int8_accuracy", "quantization/accuracy_drop"]
    figures += [f"{M55}/{name}" for name in ("instructions", "cycles_est", "flash_bytes")]
    curves = [f"val/metric_{number}" for number in range(N_METRICS - len(figures))]
    with run.active():
        for epoch in range(N_EPOCHS):
            run.log_metrics(dict.fromkeys(curves, 1.0 / (epoch + 1)), step=epoch)
        run.log_metrics({name: 0.5 + position for position, name in enumerate(figures)})
    with sqlite3.connect(store.database) as connection:
        for table in ("runs", "params", "tags", "latest_metrics", "metrics"):
            cursor = connection.execute(f"select * from {table} limit 0")
            names = [column[0] for column in cursor.description]
            chosen = [
                "?" if name == "run_uuid" else "value * (1 + (abs(random()) % 1000) / 1e3)"
                if table.endswith("metrics") and name == "value" else f'"{name}"'
                for name in names
            ]  # fmt: skip
            query = f"insert into {table} select {', '.join(chosen)} from {table} where run_uuid=?"
            copies = [(copy, run.run_id) for copy in _ids(n_runs - 1)]
            connection.executemany(query, copies)


def _ids(count: int) -> list[str]:
    return [uuid.UUID(int=number + 1).hex for number in range(count)]


def measure() -> list[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        fill(home / "thousand", N_RUNS)
        words = ["select", "f1 > 0.6", f"paths.home={home / 'thousand'}"]
        command = [sys.executable, "-m", "ecgexp", *words]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        taken = statistics.median(seconds(command) for _ in range(REPEATS))
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) / REPEATS
        size = os.path.getsize(home / "thousand" / "mlflow.db") / 2**20
        wrong, lost = open_at_once(home / "fresh", 8)
    return [
        Figure(
            name=f"ecgexp select in a store of {N_RUNS:,} runs",
            value=taken,
            unit="s",
            at_most=2.0,
            note=f"median of {REPEATS}, {cpu:.1f} s of CPU; {size:.0f} MiB of database",
        ),
        Figure(
            name="8 processes open a fresh store at once: errors and lost values",
            value=float(len(wrong) + lost),
            unit="of 800",
            at_most=0.0,
            note="; ".join(wrong),
        ),
    ]
