"""What a study has found so far."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ecgexp.errors import ConfigError
from ecgexp.search.study import REASON, RUN, STAND_IN

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial

    from ecgexp.pipeline import Outcome


@dataclass(frozen=True, kw_only=True)
class Found:
    """A trial on the front, or with one objective the best one.

    Attributes:
        number: The trial.
        run_id: Its MLflow run.
        values: The objectives in their order.
        params: Chosen values by parameter name.
    """

    number: int
    run_id: str
    values: tuple[float, ...]
    params: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Result:
    """What a study has found so far.

    Attributes:
        study: Its name.
        n_trials: Trials in total, as asked for.
        states: State (`complete`, `pruned`, `fail`, ...) to number of trials.
        n_infeasible: Trials that break a limit.
        objectives: Metric to direction.
        front: Trials that no other one beats in every objective, best first objective first.
        failures: Trial and reason.
        parent_run_id: The study's MLflow run.
        page: The interactive page, where it was made.
        confirmed: The chosen model, measured once on the test split.
    """

    study: str
    n_trials: int
    states: dict[str, int]
    n_infeasible: int
    objectives: dict[str, str]
    front: tuple[Found, ...]
    failures: tuple[tuple[int, str], ...]
    parent_run_id: str
    page: Path | None = None
    confirmed: Outcome | None = None


def is_feasible(trial: FrozenTrial) -> bool:
    """Whether a trial has values of its own and breaks no limit."""
    return (
        trial.values is not None
        and STAND_IN not in trial.user_attrs
        and all(share <= 0 for share in trial.constraints.values())
    )


def complete(study: Study) -> list[FrozenTrial]:
    """Return the trials that were trained to their end and break no limit."""
    from optuna.trial import TrialState

    trials = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    return [trial for trial in trials if is_feasible(trial)]


def front_of(study: Study) -> list[FrozenTrial]:
    """Return the trials on the front, best first objective first."""
    from optuna.study import StudyDirection

    signs = [1.0 if d == StudyDirection.MINIMIZE else -1.0 for d in study.directions]
    trials = complete(study)
    costs = {t.number: tuple(s * v for s, v in zip(signs, t.values, strict=True)) for t in trials}
    front = [
        trial
        for trial in trials
        if not any(
            _dominates(costs[other.number], costs[trial.number])
            or (costs[other.number] == costs[trial.number] and other.number < trial.number)
            for other in trials
        )
    ]
    return sorted(front, key=lambda trial: costs[trial.number])


def _dominates(one: Sequence[float], two: Sequence[float]) -> bool:
    return all(a <= b for a, b in zip(one, two, strict=True)) and tuple(one) != tuple(two)


def read_result(
    study: Study, *, n_trials: int, objectives: dict[str, str], parent_run_id: str
) -> Result:
    """Sum a study up."""
    from optuna.trial import TrialState

    trials = study.get_trials(deepcopy=False)
    states: dict[str, int] = {}
    for trial in trials:
        states[trial.state.name.lower()] = states.get(trial.state.name.lower(), 0) + 1
    return Result(
        study=study.study_name,
        n_trials=n_trials,
        states=states,
        n_infeasible=sum(any(x > 0 for x in trial.constraints.values()) for trial in trials),
        objectives=objectives,
        front=tuple(
            Found(
                number=trial.number,
                run_id=str(trial.user_attrs.get(RUN, "")),
                values=tuple(trial.values),
                params=dict(trial.params),
            )
            for trial in front_of(study)
        ),
        failures=tuple(
            (trial.number, str(trial.user_attrs.get(REASON, "no reason was recorded")))
            for trial in trials
            if trial.state == TrialState.FAIL
        ),
        parent_run_id=parent_run_id,
    )


def choose(study: Study, which: str | int) -> FrozenTrial:
    """Return the trial to confirm: by number, or the best first objective.

    Raises:
        ConfigError: There is no such trial, or it was not trained to its end.
    """
    trials = complete(study)
    if which == "best":
        if not trials:
            raise ConfigError("search.confirm=best: no trial was trained within the limits")
        return front_of(study)[0]
    for trial in trials:
        if trial.number == int(which):
            return trial
    raise ConfigError(
        f"search.confirm={which}: that trial was not trained to its end within the limits; "
        f"those are {', '.join(str(trial.number) for trial in trials) or 'none'}"
    )
