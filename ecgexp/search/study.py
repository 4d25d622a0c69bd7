"""A study that any number of workers share: claim a trial, keep it alive, find the dead ones."""

from __future__ import annotations

import json
import logging
import socket
import threading
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ecgexp.errors import ConfigError
from ecgexp.search.quiet import quiet
from ecgexp.search.storage import Storage
from ecgexp.tracking.liveness import is_gone, owner_tags
from ecgexp.tracking.names import HOST_TAG

if TYPE_CHECKING:
    from optuna import Study, Trial
    from optuna.trial import FrozenTrial

    from ecgexp.search.plan import Plan

log = logging.getLogger(__name__)

# Attributes of the study.
SETTINGS, PARENT = "ecgexp_settings", "mlflow_run_id"
# Attributes of a trial.
OWNER, TOKEN, DEATHS, ATTEMPTS = "owner", "token", "deaths", "attempts"
REASON, RUN, STAND_IN = "reason", "mlflow_run_id", "stand_in"


class SharedStudy:
    """An Optuna study and who may take its next trial.

    Args:
        plan: The search.
        storage: Where the study lies.
        max_epochs: Epochs of a whole trial, for the pruner.
        settings: Plain values that all starts of the study must agree on: config path to value.

    Raises:
        ConfigError: The study was started with other settings.
        TrackingError: The database cannot be used.
    """

    def __init__(
        self, *, plan: Plan, storage: Storage, max_epochs: int, settings: Mapping[str, Any]
    ) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._plan, self._storage = plan, storage
        self._rdb = storage.open(plan.heartbeat_s)
        with self._turn():
            self.study: Study = optuna.create_study(
                study_name=plan.study,
                storage=self._rdb,
                directions=plan.directions if self._is_new() else None,
                sampler=plan.sampler(0),
                pruner=plan.pruner(max_epochs),
                load_if_exists=True,
            )
            self._agree(settings)
            if plan.is_grid:
                self._queue_grid()

    def _is_new(self) -> bool:
        return self._plan.study not in {
            self._rdb.get_study_name_from_id(study._study_id)
            for study in self._rdb.get_all_studies()
        }

    @contextmanager
    def _turn(self) -> Iterator[None]:
        with self._storage.lock(self._plan.study), quiet():
            yield

    def _agree(self, settings: Mapping[str, Any]) -> None:
        before = self.study.user_attrs.get(SETTINGS)
        if before is None:
            self.study.set_user_attr(SETTINGS, json.dumps(settings))
            return
        then, now = json.loads(before), json.loads(json.dumps(settings))
        for path in sorted({*then, *now}):
            old, new = then.get(path, "nothing"), now.get(path, "nothing")
            if old != new:
                raise ConfigError(
                    f"{path}: study {self._plan.study!r} was started with {old}, now it is {new}; "
                    "trials of both cannot be compared: take the old value, or another "
                    "search.study=NAME"
                )

    def _queue_grid(self) -> None:
        known = len(self.study.get_trials(deepcopy=False))
        points = [*self._plan.space.grid()]
        self._plan.n_trials = min(self._plan.n_trials, len(points))
        # Shuffled by the seed, so that a part of the grid is spread over all of it.
        import random

        random.Random(self._plan.seed).shuffle(points)
        for point in points[known : self._plan.n_trials]:
            self.study.enqueue_trial(point)

    def parent_run(self, start: Any) -> str:
        """Return the id of the study's MLflow run; `start` makes it if there is none."""
        with self._turn():
            known = self._rdb.get_study_user_attrs(self.study._study_id).get(PARENT)
            if known is None:
                known = start()
                self.study.set_user_attr(PARENT, known)
            return str(known)

    @property
    def trials(self) -> list[FrozenTrial]:
        """All trials as stored now."""
        return self.study.get_trials(deepcopy=False)

    def claim(self) -> tuple[Trial, list[str]] | None:
        """Take the next trial, with its overrides; None when nothing is left to start."""
        from optuna.trial import TrialState

        with self._turn():
            self._find_dead()
            trials = self.trials
            waiting = [t for t in trials if t.state == TrialState.WAITING]
            begun = sum(t.datetime_start is not None for t in trials)
            again = any(t.datetime_start is not None for t in waiting)
            if not again and begun >= self._plan.n_trials:
                return None
            number = waiting[0].number if waiting else len(trials)
            self.study.sampler = self._plan.sampler(number)
            trial = self.study.ask()
            trial.set_user_attr(OWNER, owner_tags())
            trial.set_user_attr(ATTEMPTS, int(trial.user_attrs.get(ATTEMPTS, 0)) + 1)
            trial.set_user_attr(TOKEN, uuid.uuid4().hex)
            self._rdb.record_heartbeat(trial._trial_id)
            return trial, self._plan.space.suggest(trial)

    def others_run(self) -> bool:
        """Whether trials of other workers still run or wait to be taken up."""
        from optuna.trial import TrialState

        open_states = (TrialState.RUNNING, TrialState.WAITING)
        return any(t.state in open_states for t in self.trials)

    def _find_dead(self) -> None:
        """Put trials whose worker is gone back into the queue: same number, same run."""
        from optuna.trial import TrialState

        silent = set(self._rdb._get_stale_trial_ids(self.study._study_id))
        for trial in self.trials:
            if trial.state != TrialState.RUNNING or not _is_dead(trial, silent):
                continue
            deaths = int(trial.user_attrs.get(DEATHS, 0)) + 1
            key = trial._trial_id
            self._rdb.set_trial_user_attr(key, DEATHS, deaths)
            if deaths < self._plan.max_deaths:
                log.warning("trial %d lost its worker; it is taken up again", trial.number)
                self._rdb.set_trial_state_values(key, TrialState.WAITING)
            else:
                reason = f"its worker died {deaths} times, perhaps out of memory"
                log.error("trial %d failed: %s", trial.number, reason)
                self._rdb.set_trial_user_attr(key, REASON, reason)
                self._rdb.set_trial_state_values(key, TrialState.FAIL)

    @contextmanager
    def alive(self, trial: Trial) -> Iterator[None]:
        """Send heartbeats of a trial from a thread as long as the block runs."""
        from optuna.exceptions import StorageInternalError
        from sqlalchemy.exc import SQLAlchemyError

        stop = threading.Event()

        def beat() -> None:
            while not stop.wait(self._plan.heartbeat_s):
                try:
                    self._rdb.record_heartbeat(trial._trial_id)
                except (SQLAlchemyError, StorageInternalError) as error:
                    log.warning("a heartbeat of trial %d was lost: %s", trial.number, error)

        thread = threading.Thread(target=beat, name="trial-heartbeat", daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def tell(
        self, trial: Trial, state: Any, values: list[float] | None = None, reason: str | None = None
    ) -> None:
        """Record how a trial ended, unless another worker has taken it over meanwhile."""
        with self._turn():
            now = self._rdb.get_trial(trial._trial_id)
            if now.state.is_finished() or now.user_attrs.get(TOKEN) != trial.user_attrs.get(TOKEN):
                log.warning("trial %d is another worker's now; its result is dropped", trial.number)
                return
            if reason:
                trial.set_user_attr(REASON, reason[:2000])
            self.study.tell(trial, values=values, state=state)

    @property
    def prunes(self) -> bool:
        """Whether the pruner ever stops a trial."""
        from optuna.pruners import NopPruner

        return not isinstance(self.study.pruner, NopPruner)

    def stand_in(self, trial: Trial) -> list[float] | None:
        """Return the worst values so far, for samplers that learn from finished trials only."""
        from optuna.study import StudyDirection
        from optuna.trial import TrialState

        ended = [t.values for t in self.trials if t.state == TrialState.COMPLETE]
        if not ended:
            return None
        trial.set_user_attr(STAND_IN, True)
        worst = [
            min(column) if direction == StudyDirection.MAXIMIZE else max(column)
            for direction, column in zip(
                self.study.directions, zip(*ended, strict=True), strict=True
            )
        ]
        return [float(value) for value in worst]

    def hand_back(self, trial: Trial) -> None:
        """Put an interrupted trial back into the queue."""
        from optuna.trial import TrialState

        with self._turn():
            self._rdb.set_trial_state_values(trial._trial_id, TrialState.WAITING)


def _is_dead(trial: FrozenTrial, silent: set[int]) -> bool:
    owner = trial.user_attrs.get(OWNER)
    if owner is None:
        # Claims are made under the lock: whoever made this one died in it.
        return True
    if owner.get(HOST_TAG) == socket.gethostname():
        return is_gone(owner)
    return trial._trial_id in silent
