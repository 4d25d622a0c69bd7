"""What a search is asked to do: settings, objectives, and what they may be."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol

from ecgexp.errors import ConfigError
from ecgexp.search import sampler as samplers
from ecgexp.search.quiet import quiet
from ecgexp.search.space import Space, read_space, word
from ecgexp.tracking import names

if TYPE_CHECKING:
    from optuna.pruners import BasePruner
    from optuna.samplers import BaseSampler
    from optuna.study import StudyDirection

DIRECTIONS = ("maximize", "minimize")
_OWN_WORD = re.compile(r"^[+~]*search([./@=]|$)")
# Nothing of these changes a result, or the search itself decides it.
_NOT_SEARCHED = ("name", "paths", "tracking", "resume", "format", "search")


class SamplerMaker(Protocol):
    """Makes the sampler of one trial."""

    def __call__(self, *, seed: int, n_objectives: int) -> BaseSampler:
        """Return it."""


class PrunerMaker(Protocol):
    """Makes the pruner."""

    def __call__(self, *, max_epochs: int, n_objectives: int) -> BasePruner:
        """Return it."""


class Plan:
    """The settings of `conf/search`.

    Args:
        study: Name; the same name goes on.
        n_trials: Trials in total, whoever runs them.
        n_workers: Processes that this command starts.
        storage: Database URL, or None for a sqlite file below `paths.home`.
        seed: Of the draws.
        heartbeat_s: Seconds between signs of life of a trial.
        max_deaths: How often a trial may lose its worker.
        confirm: Trial to measure on the test split at the end: a number, `best`, or None.
        fixed: Configuration keys and values of every trial.
        objectives: Metric to direction.
        space: What is searched, see `read_space`.
        sampler: Makes the sampler of a trial.
        pruner: Makes the pruner.

    Raises:
        ConfigError: A value cannot be used.
    """

    def __init__(  # noqa: PLR0913 - one argument per key of the file
        self,
        *,
        study: str,
        n_trials: int,
        n_workers: int,
        storage: str | None,
        seed: int,
        heartbeat_s: int,
        max_deaths: int,
        confirm: str | int | None,
        fixed: Mapping[str, Any],
        objectives: Mapping[str, str],
        space: Mapping[str, Any],
        sampler: SamplerMaker,
        pruner: PrunerMaker,
    ) -> None:
        at_least_one = {
            "n_trials": n_trials,
            "n_workers": n_workers,
            "heartbeat_s": heartbeat_s,
            "max_deaths": max_deaths,
        }
        for key, value in at_least_one.items():
            if value < 1:
                raise ConfigError(f"search.{key}={value}: write 1 or more")
        if seed < 0:
            raise ConfigError(f"search.seed={seed}: write a whole number >= 0")
        if not re.fullmatch(r"[\w.-]+", study):
            raise ConfigError(f"search.study={study!r}: use letters, digits, _, - and .")
        if isinstance(confirm, str) and confirm != "best":
            raise ConfigError(f"search.confirm={confirm!r}: write best, a trial's number or null")
        self.study, self.n_trials, self.n_workers = study, n_trials, n_workers
        self.storage, self.seed, self.heartbeat_s = storage, seed, heartbeat_s
        self.max_deaths, self.confirm, self.fixed = max_deaths, confirm, dict(fixed)
        self.objectives = _read_objectives(objectives)
        self.space: Space = read_space(space)
        self._sampler, self._pruner = sampler, pruner
        # Whether sampler and pruner can do this is found out before anything runs.
        self.sampler(0)
        if self.is_grid:
            next(self.space.grid())

    @property
    def directions(self) -> list[StudyDirection | Literal["minimize", "maximize"]]:
        """Directions of the objectives in their order."""
        from optuna.study import StudyDirection

        return [StudyDirection[direction.upper()] for direction in self.objectives.values()]

    @property
    def is_grid(self) -> bool:
        """Whether every combination is tried once."""
        return self._maker is samplers.grid

    @property
    def needs_values(self) -> bool:
        """Whether the sampler learns from finished trials only, and not that a limit is broken."""
        return self._maker is samplers.gp

    @property
    def _maker(self) -> object:
        maker = self._sampler
        return maker.func if isinstance(maker, functools.partial) else maker

    def sampler(self, number: int) -> BaseSampler:
        """Return the sampler of a trial; its draws depend on the seed and the trial alone."""
        import numpy as np

        words = np.random.SeedSequence([self.seed, number]).generate_state(1)
        seed = int(words[0]) % 2**31
        with quiet():
            return self._sampler(seed=seed, n_objectives=len(self.objectives))

    def pruner(self, max_epochs: int) -> BasePruner:
        """Return the pruner for trials of so many epochs."""
        return self._pruner(max_epochs=max_epochs, n_objectives=len(self.objectives))

    def base_words(self, words: Sequence[str]) -> list[str]:
        """Return the overrides that every trial has: `fixed`, then those of the command line."""
        given = [text for text in words if not _OWN_WORD.match(text)]
        keys = {_key(text) for text in given}
        for parameter in self.space.parameters:
            for source, taken in (("the command line", keys), ("search.fixed", {*self.fixed})):
                if parameter.key in taken:
                    raise ConfigError(
                        f"{parameter.path}.key={parameter.key}: {source} sets it too; drop one"
                    )
            if parameter.key.split(".")[0] in _NOT_SEARCHED:
                raise ConfigError(f"{parameter.path}.key={parameter.key}: this cannot be searched")
        fixed = [word(key, value) for key, value in self.fixed.items() if key not in keys]
        return [*fixed, *given]


def _key(text: str) -> str:
    return text.partition("=")[0].lstrip("+~").partition("@")[0]


def _read_objectives(objectives: Mapping[str, str]) -> dict[str, str]:
    if not objectives:
        raise ConfigError("search.objectives is empty: give metric: maximize or minimize")
    for name, direction in objectives.items():
        path = f"search.objectives.{name}"
        if direction not in DIRECTIONS:
            raise ConfigError(f"{path}={direction!r}: write maximize or minimize")
        if name.startswith("test/") or (
            name.startswith("quantization/") and not name.startswith("quantization/val_")
        ):
            raise ConfigError(
                f"{path}: the test split decides nothing; search val/* or quantization/val_*, "
                "then confirm the chosen model once with search.confirm=best"
            )
        if name.partition("/")[0] not in ("val", "quantization", "deploy", "network"):
            raise ConfigError(
                f"{path}: unknown; use val/f1_macro, quantization/val_f1_macro, "
                "network/parameters, network/macs or deploy/<target>/cycles_est"
            )
    return dict(objectives)


def check_objectives(plan: Plan, config: Mapping[str, Any], labels: Sequence[str] | None) -> None:
    """Check that every trial will have a value for every objective.

    Args:
        plan: The search.
        config: A composed configuration of its trials.
        labels: Class names, where they are known.

    Raises:
        ConfigError: An objective will never have a value.
    """
    target = str(config["target"]["name"])
    compiles = "limits" in config["deploy"]
    for name in plan.objectives:
        path = f"search.objectives.{name}"
        family, _, rest = name.partition("/")
        if family == "deploy" and not compiles:
            raise ConfigError(f"{path}: deploy=none measures nothing; use deploy=tvm")
        if family == "deploy" and name != names.deploy_metric(target, rest.partition("/")[2]):
            raise ConfigError(
                f"{path}: the target is {target}; write deploy/{target}/..., or target=..."
            )
        if family == "deploy" and rest.partition("/")[2] not in _device_figures(config):
            known = ", ".join(_device_figures(config))
            raise ConfigError(f"{path}: {target} has no such figure; it has {known}")
        if family == "quantization" and config["quantization"]["_target_"].endswith(
            "NoQuantization"
        ):
            raise ConfigError(f"{path}: quantization=none has no such figure; use val/...")
        if family == "network" and rest not in ("parameters", "macs"):
            raise ConfigError(f"{path}: use network/parameters or network/macs")
        if family == "val" and labels is not None:
            _check_validation(path, rest, labels)


def _check_validation(path: str, name: str, labels: Sequence[str]) -> None:
    from ecgexp.training.metric_names import LOSS, VAL, validation_names

    known = [full for full in validation_names(labels) if full != f"{VAL}/{LOSS}"]
    if f"{VAL}/{name}" not in known:
        raise ConfigError(f"{path}: the kept epoch has no such figure; use {', '.join(known)}")


def _device_figures(config: Mapping[str, Any]) -> list[str]:
    target = config["target"]
    figures = ["flash_bytes", "ram_bytes", "arena_bytes", "weight_bytes", "macs", "float_ops"]
    if target["runner"] in ("qemu", "fvp"):
        figures += ["instructions", "instructions_per_mac", "stack_bytes"]
    if target["runner"] == "qemu" and target["cpu"] == "cortex-m55":
        figures += ["cycles_est", "latency_est_ms"]
    if target["runner"] == "host":
        figures.append("elapsed_us")
    return figures
