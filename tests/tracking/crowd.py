"""Many processes that open a store at the same moment."""

from __future__ import annotations

import multiprocessing
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier
from pathlib import Path

from ecgexp.tracking.store import Store

N_EPOCHS, N_METRICS = 5, 20


def expected() -> dict[str, float]:
    return {f"val/m{number}": float(number + N_EPOCHS - 1) for number in range(N_METRICS)}


def _work(home: Path, together: Barrier, failures: Queue[str]) -> None:
    together.wait()
    try:
        run = Store(experiment="crowd", home=home).start(name="one", params={"p": 1}, tags={})
        with run.active():
            for epoch in range(N_EPOCHS):
                values = {f"val/m{n}": float(n + epoch) for n in range(N_METRICS)}
                run.log_metrics(values, step=epoch)
    except Exception as error:  # Whatever happens in a process is the answer.
        failures.put(f"{type(error).__name__}: {error}")


def open_at_once(home: Path, n_processes: int) -> tuple[list[str], int]:
    """Let processes open a fresh store together, a run and 100 values each.

    Returns:
        What went wrong, and how many of the values are not in the store afterwards.
    """
    # Imported before the fork: the processes then meet at the store within milliseconds.
    import mlflow.store.tracking.sqlalchemy_store
    import mlflow.tracking  # noqa: F401

    context = multiprocessing.get_context("fork")
    together, failures = context.Barrier(n_processes), context.Queue()
    workers = [
        context.Process(target=_work, args=(home, together, failures)) for _ in range(n_processes)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(timeout=300)
    wrong = [f"exit code {worker.exitcode}" for worker in workers if worker.exitcode]
    while not failures.empty():
        wrong.append(failures.get())
    store = Store(experiment="crowd", home=home)
    runs = store.runs()
    kept = sum(
        len(store.open().get_metric_history(run.run_id, name))
        for run in runs
        for name, value in expected().items()
        if run.metrics.get(name) == value
    )
    return wrong, n_processes * N_EPOCHS * N_METRICS - kept
