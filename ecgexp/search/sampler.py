"""How the next trial is chosen; each function is one option of `search/sampler`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ecgexp.errors import ConfigError

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler


def tpe(*, n_startup_trials: int, seed: int, n_objectives: int) -> BaseSampler:
    """Return the tree-structured Parzen estimator; parameters of one condition go together.

    Args:
        n_startup_trials: Trials drawn at random first.
        seed: Of this trial's draw.
        n_objectives: Objectives of the study.
    """
    from optuna.samplers import TPESampler

    return TPESampler(n_startup_trials=n_startup_trials, multivariate=True, group=True, seed=seed)


def gp(*, n_startup_trials: int, seed: int, n_objectives: int) -> BaseSampler:
    """Return the Gaussian process.

    Args:
        n_startup_trials: Trials drawn at random first.
        seed: Of this trial's draw.
        n_objectives: Objectives of the study.
    """
    from optuna.samplers import GPSampler

    return GPSampler(n_startup_trials=n_startup_trials, seed=seed, warn_independent_sampling=False)


def cmaes(*, n_startup_trials: int, seed: int, n_objectives: int) -> BaseSampler:
    """Return CMA-ES; choices are drawn at random beside it.

    Args:
        n_startup_trials: Trials drawn at random first.
        seed: Of this trial's draw.
        n_objectives: Objectives of the study.

    Raises:
        ConfigError: There are several objectives, or the package is missing.
    """
    import importlib.util

    from optuna.samplers import CmaEsSampler

    if n_objectives > 1:
        raise ConfigError(
            f"search/sampler=cmaes knows one objective, search.objectives has {n_objectives}: "
            "use search/sampler=tpe, gp, nsga2 or nsga3"
        )
    if importlib.util.find_spec("cmaes") is None:
        raise ConfigError("search/sampler=cmaes needs cmaes: pip install 'ecgexp[search]'")
    return CmaEsSampler(
        n_startup_trials=n_startup_trials, seed=seed, warn_independent_sampling=False
    )


def nsga2(*, population_size: int, seed: int, n_objectives: int) -> BaseSampler:
    """Return the genetic algorithm NSGA-II.

    Args:
        population_size: Trials of one generation.
        seed: Of this trial's draw.
        n_objectives: Objectives of the study.
    """
    from optuna.samplers import NSGAIISampler

    return NSGAIISampler(population_size=_population(population_size), seed=seed)


def nsga3(*, population_size: int, seed: int, n_objectives: int) -> BaseSampler:
    """Return the genetic algorithm NSGA-III.

    Args:
        population_size: Trials of one generation.
        seed: Of this trial's draw.
        n_objectives: Objectives of the study.
    """
    from optuna.samplers import NSGAIIISampler

    return NSGAIIISampler(population_size=_population(population_size), seed=seed)


def random(*, seed: int, n_objectives: int) -> BaseSampler:
    """Return independent draws.

    Args:
        seed: Of this trial's draw.
        n_objectives: Objectives of the study.
    """
    from optuna.samplers import RandomSampler

    return RandomSampler(seed=seed)


def grid(*, seed: int, n_objectives: int) -> BaseSampler:
    """Return what answers when the grid, which waits in the study's queue, is used up.

    Args:
        seed: Of this trial's draw.
        n_objectives: Objectives of the study.
    """
    return random(seed=seed, n_objectives=n_objectives)


def _population(size: int) -> int:
    if size < 2:
        raise ConfigError(f"search.sampler.population_size={size}: write at least 2")
    return size
