"""Drive a study: claim a trial, run it as a job, tell how it ended; until the total is reached."""

from __future__ import annotations

import gc
import logging
import math
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ecgexp.config.build import build
from ecgexp.config.compose import Job, compose
from ecgexp.config.fingerprint import NOT_SCIENCE
from ecgexp.config.validate import validate
from ecgexp.errors import ConfigError, EcgexpError, StoppedEarly
from ecgexp.pipeline import home_folder, open_store, run
from ecgexp.search.check import check_space
from ecgexp.search.plan import Plan, check_objectives
from ecgexp.search.result import Result
from ecgexp.search.storage import Storage
from ecgexp.search.study import ATTEMPTS, RUN, SharedStudy
from ecgexp.search.trial import Rejected, TrialJob
from ecgexp.tracking import names

if TYPE_CHECKING:
    from optuna import Trial

    from ecgexp.tracking.run import Run
    from ecgexp.types import SignalSpec

log = logging.getLogger(__name__)

POLL_S = 1.0
TRIAL_TAG, STUDY_TAG = "ecgexp.trial", "ecgexp.study"


class Driver:
    """One worker of a study.

    Args:
        job: Composed from `conf/search.yaml`.
        words: Command-line overrides.
        folders: Further config folders.
        is_worker: Whether another process has checked everything.

    Raises:
        ConfigError: A setting, the space or an objective cannot be used.
        TrackingError: The study's database or the MLflow store cannot be used.
    """

    def __init__(
        self, *, job: Job, words: Sequence[str], folders: Sequence[Path], is_worker: bool
    ) -> None:
        validate(job)
        self.plan: Plan = build(job.config["search"], path="search")
        self._words, self._folders = self.plan.base_words(words), folders
        self.base = compose("config", self._words, folders)
        validate(self.base)
        check_objectives(self.plan, self.base.config, None)
        if not is_worker:
            check_space(self.plan.space, self.base, self._words, folders)
            config = self.base.config
            build(config["deploy"], path="deploy").check(build(config["target"], path="target"))
        home = home_folder(self.base.config)
        self.shared = SharedStudy(
            plan=self.plan,
            storage=Storage(url=self.plan.storage, home=home),
            max_epochs=self.base.config["trainer"]["max_epochs"],
            settings={**_flat(_meaning(job)), **_flat(_science(self.base))},
        )
        self.parent_run_id = self.shared.parent_run(self._start_parent)
        self._specs: dict[str, SignalSpec] = {}

    @property
    def parent(self) -> Run:
        """The study's own run."""
        return open_store(self.base.config).reopen(self.parent_run_id)

    def _start_parent(self) -> str:
        tags = {names.KIND_TAG: "study", STUDY_TAG: self.plan.study}
        params = {f"objective.{k}": v for k, v in self.plan.objectives.items()}
        params |= {p.name: p.key for p in self.plan.space.parameters}
        store = open_store(self.base.config)
        return store.start(name=f"study-{self.plan.study}", params=params, tags=tags).run_id

    def close(self, result: Result, *, interrupted: bool) -> None:
        """Write the sums into the study's run and end it, unless trials of others still run."""
        parent = self.parent
        parent.log_metrics(
            {
                **{f"search/{state}": float(n) for state, n in result.states.items()},
                "search/infeasible": float(result.n_infeasible),
                "search/front": float(len(result.front)),
            }
        )
        if result.front:
            best = zip(result.objectives, result.front[0].values, strict=True)
            parent.log_metrics({f"objective/{name}": value for name, value in best})
        parent.end("KILLED" if interrupted else "FINISHED", "interrupted" if interrupted else None)

    def work(self) -> None:
        """Run trials until none is left, also those of workers that die meanwhile."""
        while True:
            claimed = self.shared.claim()
            if claimed is not None:
                self._run(*claimed)
                gc.collect()
            elif self.shared.others_run():
                time.sleep(POLL_S)
            else:
                return

    def _run(self, trial: Trial, words: list[str]) -> None:
        """Run one trial; whatever it does, the search goes on."""
        from optuna.trial import TrialState

        started = time.monotonic()
        log.info("trial %d of %d: %s", trial.number, self.plan.n_trials, " ".join(words))
        with self.shared.alive(trial):
            try:
                values = self._values(trial, words)
            except KeyboardInterrupt:
                self.shared.hand_back(trial)
                raise
            except Rejected as error:
                stand_in = self.shared.stand_in(trial) if self.plan.needs_values else None
                state = TrialState.PRUNED if stand_in is None else TrialState.COMPLETE
                self.shared.tell(trial, state, stand_in, reason=str(error))
                ended = str(error)
            except StoppedEarly as error:
                self.shared.tell(trial, TrialState.PRUNED, reason=str(error))
                ended = str(error)
            except Exception as error:  # The boundary between trials: the others run.
                kind = "" if isinstance(error, EcgexpError) else f"{type(error).__name__}: "
                ended = f"failed: {kind}{error}"
                if kind:
                    log.exception("trial %d broke", trial.number)
                self.shared.tell(trial, TrialState.FAIL, reason=f"{kind}{error}")
            else:
                self.shared.tell(trial, TrialState.COMPLETE, values)
                ended = ", ".join(
                    f"{name} {value:.6g}"
                    for name, value in zip(self.plan.objectives, values, strict=True)
                )
        log.info("trial %d: %s (%.1f s)", trial.number, ended, time.monotonic() - started)

    def _values(self, trial: Trial, words: list[str]) -> list[float]:
        known = self._known_run(trial)
        try:
            job = self._compose(trial, words)
        except EcgexpError as error:
            if known is None:
                self._record_failure(trial, words, error)
            raise
        hooks = TrialJob(
            trial=trial,
            config=job.config,
            objectives=self.plan.objectives,
            specs=self._specs,
            prunes=self.shared.prunes,
        )
        if known is not None:
            log.info("trial %d goes on in run %s", trial.number, known)
            job = replace(job, config={**job.config, "resume": known})
        outcome = run(
            job, parent_run_id=self.parent_run_id, tags=self._tags(trial, job), trial=hooks
        )
        figures = hooks.values(outcome.metrics)
        unusable = [name for name, value in figures.items() if not math.isfinite(value)]
        if unusable:
            raise ConfigError(f"{unusable[0]} is {figures[unusable[0]]}, not a finite number")
        open_store(job.config).reopen(outcome.run_id).log_metrics(
            {f"objective/{name}": value for name, value in figures.items()}
        )
        return [*figures.values()]

    def _compose(self, trial: Trial, words: list[str]) -> Job:
        name = f"name={self.plan.study}-{trial.number:03d}"
        kept = [text for text in self._words if not text.startswith("name=")]
        job = compose("config", [*kept, *words, name], self._folders)
        validate(job)
        return job

    def _tags(self, trial: Trial, job: Job | None) -> dict[str, str]:
        # Not the job's own fingerprint: a trial's run is no finished run of the same experiment.
        own = {names.FINGERPRINT_TAG: f"{job.fingerprint}-trial"} if job else {}
        return {
            **own,
            names.PARENT_TAG: self.parent_run_id,
            STUDY_TAG: self.plan.study,
            TRIAL_TAG: str(trial.number),
        }

    def _known_run(self, trial: Trial) -> str | None:
        """Return the run that an earlier worker of this trial left on this machine."""
        if trial.user_attrs.get(ATTEMPTS, 1) == 1:
            return None
        store = open_store(self.base.config)
        mine = f"tags.`{TRIAL_TAG}` = '{trial.number}'"
        for row in store.search(f"{mine} and tags.`{names.PARENT_TAG}` = '{self.parent_run_id}'"):
            found = store.reopen(row.run_id)
            if (found.folder / "job.yaml").is_file():
                return found.run_id
            # Of another machine, or killed before it had a configuration: no run of the trial.
            found.set_tags({TRIAL_TAG: f"{trial.number} (lost)"})
            found.bury()
        return None

    def _record_failure(self, trial: Trial, words: list[str], error: EcgexpError) -> None:
        """Give a trial that has no configuration a run that says so."""
        made = open_store(self.base.config).start(
            name=f"{self.plan.study}-{trial.number:03d}",
            params=dict(text.partition("=")[::2] for text in words),
            tags={**self._tags(trial, None), names.ERROR_TAG: str(error)},
        )
        trial.set_user_attr(RUN, made.run_id)
        made.end("FAILED", str(error))


def _science(job: Job) -> dict[str, Any]:
    """Return the configuration without what cannot change a result."""
    config = {key: value for key, value in job.config.items() if key not in NOT_SCIENCE}
    config["deploy"] = {k: v for k, v in config["deploy"].items() if k != "cache_dir"}
    return config


def _meaning(job: Job) -> dict[str, Any]:
    """Return the settings that decide whether trials can be compared."""
    search = job.config["search"]
    return {"search": {key: search[key] for key in ("space", "objectives")}}


def _flat(node: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in node.items():
        if isinstance(value, dict):
            flat.update(_flat(value, f"{prefix}{key}."))
        else:
            flat[f"{prefix}{key}"] = value
    return flat
