"""Lightning's view of a run: metrics only, buffered to one write per epoch."""

from __future__ import annotations

import os
from argparse import Namespace
from typing import TYPE_CHECKING, Any

from pytorch_lightning.loggers.logger import Logger
from pytorch_lightning.utilities import rank_zero_only

from ecgexp.tracking.spool import Entry, Spool

if TYPE_CHECKING:
    from ecgexp.tracking.run import Run


class RunLogger(Logger):
    """Sends metrics to a run and never ends it.

    Lightning's own MLFlowLogger sets the run's final status when fit ends, but later stages still
    write into it, and it sends one request per metric.

    In a process that was forked for the fit metrics go into a file: a database connection must not
    be used on both sides of a fork. `collect` sends them afterwards.

    Args:
        run: The run to write into.
        prefix: Stands before every metric's name, so that a second fit keeps its own curves.
    """

    def __init__(self, *, run: Run, prefix: str) -> None:
        super().__init__()
        self._run = run
        self._prefix = prefix
        self._pending: dict[int, dict[str, float]] = {}
        self._process = os.getpid()
        self._elsewhere = Spool(run.folder, name="fit-metrics")

    @property
    def name(self) -> str:
        """Fixed name; Lightning asks for it."""
        return "ecgexp"

    @property
    def version(self) -> str:
        """The run id."""
        return self._run.run_id

    @rank_zero_only
    def log_hyperparams(self, params: dict[str, Any] | Namespace, *_: Any, **__: Any) -> None:
        """Do nothing: parameters are logged once, when the run starts."""

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Keep values until the epoch's validation figures arrive, then send them together."""
        self._pending.setdefault(step or 0, {}).update(metrics)
        if any(name.startswith("val/") for name in metrics):
            self.save()

    @rank_zero_only
    def save(self) -> None:
        """Send what is pending."""
        pending, self._pending = self._pending, {}
        for step, metrics in pending.items():
            named = {f"{self._prefix}{name}": value for name, value in metrics.items()}
            if os.getpid() == self._process:
                self._run.log_metrics(named, step)
            else:
                self._elsewhere.append({"metrics": named, "step": step})

    def collect(self) -> None:
        """Send what processes of the fit, which have ended, wrote down."""
        self._elsewhere.send(self._log)

    def _log(self, entry: Entry) -> None:
        self._run.log_metrics(entry["metrics"], entry["step"])

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Send what is pending; the pipeline sets the final status."""
        self.save()
