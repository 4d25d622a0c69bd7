"""Every sampler and pruner: drives real studies, refuses what it cannot do."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import pytest
from optuna.trial import TrialState

from ecgexp.errors import ConfigError
from ecgexp.search import pruner, sampler
from tests.search.sleeper import plan, shared

TWO = {"val/f1_macro": "maximize", "network/macs": "minimize"}
SPACE = {
    "x": {"key": "a.x", "low": -2.0, "high": 2.0},
    "kind": {"key": "a.kind", "choices": ["flat", "steep"]},
    "n": {"key": "a.n", "low": 1, "high": 4, "when": {"kind": "steep"}},
}
SAMPLERS = {
    "tpe": functools.partial(sampler.tpe, n_startup_trials=4),
    "gp": functools.partial(sampler.gp, n_startup_trials=4),
    "nsga2": functools.partial(sampler.nsga2, population_size=4),
    "nsga3": functools.partial(sampler.nsga3, population_size=4),
    "random": functools.partial(sampler.random),
}


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_sampler_serves_two_objectives_conditions_and_limits(name: str, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'optuna.db'}"
    mine = shared(url, tmp_path, n_trials=8, objectives=TWO, space=SPACE, sampler=SAMPLERS[name])
    while (claimed := mine.claim()) is not None:
        trial, _ = claimed
        x, beyond = trial.params["x"], trial.params["x"] > 1
        trial.set_constraint("flash_bytes", x - 1)
        stand_in = mine.stand_in(trial) if beyond else None
        if beyond and stand_in is None:
            mine.tell(trial, TrialState.PRUNED, reason="too large")
        else:
            mine.tell(trial, TrialState.COMPLETE, stand_in or [-x * x, abs(x - 1)])
    assert len(mine.trials) == 8
    assert len({trial.params["x"] for trial in mine.trials}) > 4


def test_cmaes_finds_the_middle(tmp_path: Path) -> None:
    pytest.importorskip("cmaes")
    url = f"sqlite:///{tmp_path / 'optuna.db'}"
    space = {axis: {"key": f"a.{axis}", "low": -2.0, "high": 2.0} for axis in ("x", "y")}
    maker = functools.partial(sampler.cmaes, n_startup_trials=1)
    mine = shared(url, tmp_path, n_trials=30, space=space, sampler=maker)
    while (claimed := mine.claim()) is not None:
        params = claimed[0].params
        mine.tell(claimed[0], TrialState.COMPLETE, [-(params["x"] ** 2) - params["y"] ** 2])
    early, late = (
        max(trial.value or -9 for trial in trials) for trials in (mine.trials[:6], mine.trials)
    )
    assert late > -0.2
    assert late > early


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"sampler": functools.partial(sampler.cmaes, n_startup_trials=1)},
            "search/sampler=cmaes knows one objective, search.objectives has 2",
        ),
        ({"sampler": functools.partial(sampler.nsga2, population_size=1)}, "write at least 2"),
        (
            {"sampler": functools.partial(sampler.grid)},
            "search.space.x: a grid needs choices, or a step without log",
        ),
    ],
)
def test_what_a_sampler_cannot_do(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as refused:
        plan(objectives=TWO, space=SPACE, **changes)
    assert message in str(refused.value)


@pytest.mark.parametrize("name", ["median", "hyperband"])
def test_pruners_refuse_several_objectives(name: str) -> None:
    options = {
        "median": {"n_startup_trials": 1, "n_warmup_epochs": 0},
        "hyperband": {"min_epochs": 1, "reduction_factor": 3},
    }
    maker = functools.partial(getattr(pruner, name), **options[name])
    with pytest.raises(ConfigError, match=f"search/pruner={name} compares one objective"):
        plan(objectives=TWO, pruner=maker).pruner(4)
    assert plan(pruner=maker).pruner(4) is not None
