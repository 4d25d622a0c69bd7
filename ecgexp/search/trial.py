"""One trial as a job: gate it, train it, read its objectives."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ecgexp.errors import StoppedEarly
from ecgexp.pipeline.export import KEPT
from ecgexp.search.gate import Gate, violations
from ecgexp.search.study import RUN
from ecgexp.tracking import names

if TYPE_CHECKING:
    import pytorch_lightning as pl
    from optuna import Trial

    from ecgexp.pipeline.room import Room
    from ecgexp.tracking.run import Run
    from ecgexp.types import SignalSpec

log = logging.getLogger(__name__)

# What decides the shape of a window and the classes.
_DATA = ("dataset", "preprocessing")


class Rejected(StoppedEarly):
    """A trial whose network breaks a limit whatever it learns."""


class TrialJob:
    """What the pipeline asks a trial; see `ecgexp.pipeline.trial.Trial`.

    Args:
        trial: Optuna's trial.
        config: The trial's configuration.
        objectives: Metric to direction.
        specs: Windows of the data that earlier trials of this process have read; extended here.
        prunes: Whether the pruner wants to see every epoch.
    """

    def __init__(
        self,
        *,
        trial: Trial,
        config: Mapping[str, Any],
        objectives: Mapping[str, str],
        specs: dict[str, SignalSpec],
        prunes: bool,
    ) -> None:
        self._trial, self._config, self._objectives = trial, config, objectives
        self._specs, self._prunes = specs, prunes
        self._gate: Gate | None = None
        self.figures: dict[str, float] = {}

    @property
    def callbacks(self) -> Sequence[pl.Callback]:
        """The reporter of a trial that may be pruned."""
        if not self._prunes:
            return ()
        from ecgexp.search.reporter import EpochReporter

        (metric,) = self._objectives
        if not metric.startswith("val/"):
            metric = self._config["monitor"]["metric"]
        return (EpochReporter(trial=self._trial, metric=metric),)

    @property
    def is_measured(self) -> bool:
        """Whether the gate has measured the device, or nothing is to be measured."""
        return "limits" not in self._config["deploy"] or (
            self._gate is not None and self._gate.measures
        )

    @property
    def stages(self) -> frozenset[str]:
        """What the objectives need; the rest is done for the trial that is confirmed."""
        if not self.is_measured:
            return frozenset(("fit", "prune", "export", "quantize", "deploy"))
        if any(name.startswith("quantization/") for name in self._objectives):
            return frozenset(("fit", "prune", "export", "quantize"))
        return frozenset(("fit", "prune", "validate"))

    def started(self, run: Run) -> None:
        """Note the run; with known windows, reject by bounds before any data are read."""
        self._trial.set_user_attr(RUN, run.run_id)
        spec = self._specs.get(self._data_key())
        if spec is not None:
            self._open(spec, run)

    def prepared(self, room: Room) -> None:
        """Reject by bounds, then by what the untrained network costs on the device."""
        import torch

        if self._gate is None:
            self._specs[self._data_key()] = room.data.spec
            self._open(room.data.spec, room.run)
        gate = self._gate
        if gate is None or not gate.measures:
            return
        # A trial draws the numbers that the same job draws without a search.
        with torch.random.fork_rng(), room.run.stage("gate"):
            figures = gate.measure()
        named = gate.named(figures)
        self.figures |= named
        room.run.log_metrics(named)
        excess, reasons = violations(figures, self._config)
        if reasons:
            self._reject(excess, reasons, room.run)
        self._constrain(excess)

    def _open(self, spec: SignalSpec, run: Run) -> None:
        import torch

        with torch.random.fork_rng():
            self._gate = Gate(config=self._config, spec=spec)
        self.figures |= self._gate.metrics
        run.log_metrics(self._gate.metrics)
        excess, reasons = violations(self._gate.bounds(), self._config, at_least=True)
        if reasons:
            self._reject(excess, reasons, run)

    def _reject(self, excess: Mapping[str, float], reasons: Sequence[str], run: Run) -> None:
        reason = "; ".join(reasons)
        self._constrain({"fits": -1.0, **excess})
        run.set_tags(
            {
                names.DEPLOYABLE_TAG: "false",
                names.REASON_TAG: f"{self._config['target']['name']}: {reason}",
            }
        )
        raise Rejected(f"not trained: it {reason}")

    def _constrain(self, excess: Mapping[str, float]) -> None:
        known = self._trial.storage.get_trial(self._trial._trial_id).constraints
        for name, share in excess.items():
            if name not in known:
                self._trial.set_constraint(name, share)

    def _data_key(self) -> str:
        text = json.dumps([self._config[group] for group in _DATA], sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()

    def values(self, metrics: Mapping[str, float]) -> dict[str, float]:
        """Return the objectives' values.

        Args:
            metrics: The run's metrics.

        Raises:
            StoppedEarly: A limit is broken by what was measured after training.
            KeyError: The run has no such metric.
        """
        found = {**metrics, **self.figures}
        if (
            self._gate is not None
            and not self._gate.measures
            and "limits" in self._config["deploy"]
        ):
            target = self._config["target"]["name"]
            prefix = names.deploy_metric(target, "")
            bare = {k.removeprefix(prefix): v for k, v in metrics.items() if k.startswith(prefix)}
            excess, reasons = violations(bare, self._config)
            self._constrain(excess)
            if reasons:
                log.info("trial %d: %s", self._trial.number, "; ".join(reasons))
        return {name: found[_metric(name)] for name in self._objectives}


def _metric(objective: str) -> str:
    """Return the run's metric of an objective: `val/...` means the epoch that was kept."""
    family, _, name = objective.partition("/")
    return f"{KEPT}{name}" if family == "val" else objective
