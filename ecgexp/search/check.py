"""Check a space against the configuration it searches, before anything runs."""

from __future__ import annotations

import copy
import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ecgexp.config.compose import Job, compose, dotted_keys
from ecgexp.config.validate import validate
from ecgexp.errors import ConfigError
from ecgexp.resources import resource_folder
from ecgexp.search.space import Parameter, Space, Value, unpacked


def check_space(space: Space, base: Job, words: Sequence[str], folders: Sequence[Path]) -> None:
    """Check that every key exists and takes the ends of its range, where the parameter exists.

    Args:
        space: What is searched.
        base: The configuration of every trial.
        words: The overrides that made it.
        folders: Further config folders.

    Raises:
        ConfigError: One line per fault, each with its config path.
    """
    checker = _Checker(space, base, words, folders)
    faults = [fault for parameter in space.parameters for fault in checker.faults(parameter)]
    if faults:
        raise ConfigError("\n".join(dict.fromkeys(faults)))


class _Checker:
    def __init__(
        self, space: Space, base: Job, words: Sequence[str], folders: Sequence[Path]
    ) -> None:
        self._space, self._base, self._words, self._folders = space, base, words, folders
        self._composed: dict[tuple[str, ...], Job] = {(): base}
        self._groups = {p.name for p in space.parameters if p.key in base.choices}

    def faults(self, parameter: Parameter) -> Iterator[str]:
        if parameter.name in self._groups:
            yield from self._option_faults(parameter)
            return
        try:
            jobs = [self._job(context) for context in self._space.contexts(parameter)]
        except ConfigError as error:
            yield f"{parameter.path}: {error}"
            return
        for job in jobs:
            found = [*self._value_faults(parameter, job)]
            yield from found
            if found:
                return

    def _job(self, context: Mapping[str, Value]) -> Job:
        """Compose under the group choices of a context, each combination once."""
        chosen = {name: value for name, value in context.items() if name in self._groups}
        key = tuple(self._space.words(chosen))
        if key not in self._composed:
            self._composed[key] = compose("config", [*self._words, *key], self._folders)
        return self._composed[key]

    def _option_faults(self, parameter: Parameter) -> Iterator[str]:
        roots = [resource_folder("conf"), *self._folders]
        options = {
            path.stem
            for root in roots
            for path in (root / parameter.key).glob("*.yaml")
            if not path.stem.startswith("_")
        }
        if parameter.kind != "choices":
            yield f"{parameter.path}: {parameter.key} is a config group, give choices"
        for choice in parameter.choices:
            if choice not in options:
                known = ", ".join(sorted(options))
                yield f"{parameter.path}.choices: {parameter.key} has no option {choice!r}; {known}"

    def _value_faults(self, parameter: Parameter, job: Job) -> Iterator[str]:
        known = [*dotted_keys(job.known)]
        if parameter.key not in known:
            close = difflib.get_close_matches(parameter.key, known, n=1)
            hint = f"did you mean {close[0]!r}?" if close else "see `ecgexp run --cfg job`"
            where = f" with {' '.join(job.overrides[-1:])}" if job is not self._base else ""
            yield f"{parameter.path}.key: unknown key {parameter.key!r}{where}: {hint}"
            return
        for value in parameter.ends:
            config = copy.deepcopy(job.config)
            _set(config, parameter.key, unpacked(value))
            try:
                validate(replace(job, config=config))
            except ConfigError as error:
                yield f"{parameter.path}: {str(error).splitlines()[0]}"


def _set(config: dict[str, Any], key: str, value: Any) -> None:
    *above, last = key.split(".")
    node = config
    for name in above:
        node = node[name]
    node[last] = value
