"""When a trial is stopped early; each function is one option of `search/pruner`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ecgexp.errors import ConfigError

if TYPE_CHECKING:
    from optuna.pruners import BasePruner


def none(*, max_epochs: int, n_objectives: int) -> BasePruner:
    """Stop nothing.

    Args:
        max_epochs: Epochs of a whole trial.
        n_objectives: Objectives of the study.
    """
    from optuna.pruners import NopPruner

    return NopPruner()


def median(
    *, n_startup_trials: int, n_warmup_epochs: int, max_epochs: int, n_objectives: int
) -> BasePruner:
    """Stop a trial that is worse than the median of the earlier ones at the same epoch.

    Args:
        n_startup_trials: Trials that go to their end first.
        n_warmup_epochs: Epochs that every trial may have.
        max_epochs: Epochs of a whole trial.
        n_objectives: Objectives of the study.

    Raises:
        ConfigError: There are several objectives.
    """
    from optuna.pruners import MedianPruner

    _require_one_objective("median", n_objectives)
    return MedianPruner(n_startup_trials=n_startup_trials, n_warmup_steps=n_warmup_epochs)


def hyperband(
    *, min_epochs: int, reduction_factor: int, max_epochs: int, n_objectives: int
) -> BasePruner:
    """Give brackets of trials different budgets and halve each of them successively.

    Args:
        min_epochs: Epochs that every trial may have.
        reduction_factor: One trial in so many goes on.
        max_epochs: Epochs of a whole trial.
        n_objectives: Objectives of the study.

    Raises:
        ConfigError: There are several objectives, or a value is out of range.
    """
    from optuna.pruners import HyperbandPruner

    _require_one_objective("hyperband", n_objectives)
    if not 1 <= min_epochs <= max_epochs:
        raise ConfigError(
            f"search.pruner.min_epochs={min_epochs}: write 1 to trainer.max_epochs={max_epochs}"
        )
    if reduction_factor < 2:
        raise ConfigError(f"search.pruner.reduction_factor={reduction_factor}: write at least 2")
    return HyperbandPruner(
        min_resource=min_epochs, max_resource=max_epochs, reduction_factor=reduction_factor
    )


def _require_one_objective(name: str, n_objectives: int) -> None:
    if n_objectives > 1:
        raise ConfigError(
            f"search/pruner={name} compares one objective epoch by epoch, search.objectives has "
            f"{n_objectives}: use search/pruner=none, or one objective with deploy.limits"
        )
