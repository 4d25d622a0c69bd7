"""The space of a search: parameters, the configuration keys they set, and when they exist."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from ecgexp.errors import ConfigError

if TYPE_CHECKING:
    from optuna import Trial
    from optuna.distributions import BaseDistribution

Value = str | int | float | bool | None
Kind = Literal["choices", "int", "float"]
_RANGE, _CHOICES = {"key", "low", "high", "log", "step", "when"}, {"key", "choices", "when"}
_PLAIN = re.compile(r"[A-Za-z_][\w.-]*")
# Hydra reads these as something else than text.
_NOT_TEXT = {"null", "true", "false", "nan", "inf", "yes", "no", "on", "off"}


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """One searched key.

    Attributes:
        name: What tables and pictures call it.
        key: Configuration key, or the name of a config group.
        kind: Whether it is chosen from a list or from a range.
        choices: Values to choose from, as stored: lists and mappings as JSON text.
        low: Smallest value.
        high: Largest value.
        log: Whether factors rather than differences matter.
        step: Distance of neighbouring values, or None.
        when: Names of other parameters to the values for which this one exists.
    """

    name: str
    key: str
    kind: Kind
    choices: tuple[Value, ...]
    low: float
    high: float
    log: bool
    step: float | None
    when: Mapping[str, tuple[Value, ...]]

    @property
    def path(self) -> str:
        """Config path, for messages."""
        return f"search.space.{self.name}"

    @property
    def ends(self) -> tuple[Value, ...]:
        """Values that show whether the key takes what the range holds."""
        return self.choices if self.kind == "choices" else self._numbers((self.low, self.high))

    @property
    def steps(self) -> tuple[Value, ...]:
        """Every value, for a grid.

        Raises:
            ConfigError: A range of floats without a step has no end.
        """
        if self.kind == "choices":
            return self.choices
        if self.log or (self.step is None and self.kind == "float"):
            raise ConfigError(
                f"{self.path}: a grid needs choices, or a step without log; give one or use "
                "search/sampler=random"
            )
        step = self.step or 1
        count = int((self.high - self.low) / step + 1e-9) + 1
        return self._numbers(tuple(round(self.low + i * step, 12) for i in range(count)))

    def _numbers(self, values: tuple[float, ...]) -> tuple[Value, ...]:
        return tuple(int(v) if self.kind == "int" else float(v) for v in values)

    def distribution(self) -> BaseDistribution:
        """Return what Optuna calls it."""
        from optuna.distributions import (
            CategoricalDistribution,
            FloatDistribution,
            IntDistribution,
        )

        if self.kind == "choices":
            return CategoricalDistribution(self.choices)
        if self.kind == "int":
            low, high = int(self.low), int(self.high)
            return IntDistribution(low, high, log=self.log, step=int(self.step or 1))
        return FloatDistribution(self.low, self.high, log=self.log, step=self.step)

    def exists(self, chosen: Mapping[str, Value]) -> bool:
        """Whether the parameter exists beside these values of others."""
        return all(name in chosen and chosen[name] in self.when[name] for name in self.when)

    def word(self, value: Value) -> str:
        """Return the override that sets the key to a stored value."""
        return f"{self.key}={_text(unpacked(value))}"


def unpacked(value: Value) -> Any:
    """Return the configuration value that a stored one stands for."""
    if isinstance(value, str) and value[:1] in ("[", "{"):
        return json.loads(value)
    return value


def word(key: str, value: Any) -> str:
    """Return the override that sets a key to a configuration value."""
    return f"{key}={_text(value)}"


def _text(value: Any) -> str:
    """Write a value in Hydra's override grammar."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{key}:{_text(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(_text(item) for item in value) + "]"
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    text = str(value)
    if _PLAIN.fullmatch(text) and text.lower() not in _NOT_TEXT:
        return text
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


@dataclass(frozen=True, kw_only=True)
class Space:
    """Every parameter; those that others depend on come first.

    Attributes:
        parameters: The parameters in an order in which they can be chosen.
    """

    parameters: tuple[Parameter, ...]

    def suggest(self, trial: Trial) -> list[str]:
        """Choose a value for every parameter that exists; return the overrides."""
        from optuna.distributions import CategoricalDistribution, IntDistribution

        chosen: dict[str, Value] = {}
        for parameter in self.parameters:
            if not parameter.exists(chosen):
                continue
            drawn = parameter.distribution()
            name = parameter.name
            if isinstance(drawn, CategoricalDistribution):
                chosen[name] = trial.suggest_categorical(name, drawn.choices)
            elif isinstance(drawn, IntDistribution):
                chosen[name] = trial.suggest_int(
                    name, drawn.low, drawn.high, step=drawn.step, log=drawn.log
                )
            else:
                assert_float: Any = drawn
                chosen[name] = trial.suggest_float(
                    name,
                    assert_float.low,
                    assert_float.high,
                    step=assert_float.step,
                    log=assert_float.log,
                )
        return self.words(chosen)

    def words(self, chosen: Mapping[str, Value]) -> list[str]:
        """Return the overrides of chosen values."""
        return [p.word(chosen[p.name]) for p in self.parameters if p.name in chosen]

    def grid(self) -> Iterator[dict[str, Value]]:
        """Yield every combination that exists, each once.

        Raises:
            ConfigError: A range has no steps.
        """
        steps = {parameter.name: parameter.steps for parameter in self.parameters}
        yield from self._grid(steps, {}, 0)

    def _grid(
        self, steps: Mapping[str, tuple[Value, ...]], chosen: dict[str, Value], position: int
    ) -> Iterator[dict[str, Value]]:
        if position == len(self.parameters):
            yield chosen
            return
        parameter = self.parameters[position]
        if not parameter.exists(chosen):
            yield from self._grid(steps, chosen, position + 1)
            return
        for value in steps[parameter.name]:
            yield from self._grid(steps, {**chosen, parameter.name: value}, position + 1)

    def contexts(self, parameter: Parameter) -> Iterator[dict[str, Value]]:
        """Yield the values of other parameters under which one exists."""
        by_name = {p.name: p for p in self.parameters}
        names = list(parameter.when)
        for values in itertools.product(*(parameter.when[name] for name in names)):
            mine = dict(zip(names, values, strict=True))
            for above in itertools.product(*([*self.contexts(by_name[name])] for name in names)):
                merged: dict[str, Value] = {}
                for outer in above:
                    merged |= outer
                yield merged | mine


def read_space(node: Mapping[str, Any]) -> Space:
    """Read `search.space`.

    Raises:
        ConfigError: One line per fault, each with its config path.
    """
    if not node:
        raise ConfigError("search.space is empty: give at least one parameter, name: {key: ...}")
    faults: list[str] = []
    parameters: dict[str, Parameter] = {}
    for name, entry in node.items():
        try:
            parameters[name] = _read_parameter(str(name), entry)
        except ConfigError as error:
            faults.append(str(error))
    for parameter in parameters.values():
        faults += _condition_faults(parameter, node, parameters)
    if not faults:
        faults += _shared_keys(parameters)
    if faults:
        raise ConfigError("\n".join(faults))
    return Space(parameters=_in_order(parameters))


def _read_parameter(name: str, entry: Any) -> Parameter:
    path = f"search.space.{name}"
    if not isinstance(entry, dict) or not isinstance(entry.get("key"), str):
        raise ConfigError(f"{path}: write {{key: a.config.key, low: ..., high: ...}} or choices")
    known = _CHOICES if "choices" in entry else _RANGE
    unknown = sorted(set(entry) - known)
    if unknown:
        raise ConfigError(f"{path}.{unknown[0]}: unknown; use {', '.join(sorted(known))}")
    when = entry.get("when") or {}
    if not isinstance(when, dict):
        raise ConfigError(f"{path}.when={when!r}: write {{name of a parameter: its value}}")
    conditions = {
        str(other): tuple(_stored(v) for v in (values if isinstance(values, list) else [values]))
        for other, values in when.items()
    }
    common = {"name": name, "key": entry["key"], "when": conditions}
    if "choices" in entry:
        choices = entry["choices"]
        if not isinstance(choices, list) or not choices:
            raise ConfigError(f"{path}.choices={choices!r}: the range is empty; list some values")
        stored = tuple(_stored(choice) for choice in choices)
        if len({(type(choice), choice) for choice in stored}) < len(stored):
            raise ConfigError(f"{path}.choices={choices!r}: a value stands there twice")
        return Parameter(
            **common, kind="choices", choices=stored, low=0.0, high=0.0, log=False, step=None
        )
    return _read_range(path, entry, common)


def _read_range(path: str, entry: Mapping[str, Any], common: dict[str, Any]) -> Parameter:
    numbers: list[Any] = [entry.get("low"), entry.get("high"), entry.get("step")]
    for word_, value in zip(("low", "high", "step"), numbers, strict=True):
        wrong = isinstance(value, bool) or not isinstance(value, int | float)
        if wrong and not (word_ == "step" and value is None):
            raise ConfigError(f"{path}.{word_}={value!r}: write a number")
    low, high, step = numbers
    log = entry.get("log", False)
    if not isinstance(log, bool):
        raise ConfigError(f"{path}.log={log!r}: write true or false")
    if low > high:
        raise ConfigError(f"{path}: low={low} is above high={high}; exchange them")
    if low == high:
        raise ConfigError(f"{path}: low=high={low}, an empty range; use search.fixed")
    if step is not None and not 0 < step <= high - low:
        raise ConfigError(f"{path}.step={step}: write a number above 0 and up to {high - low:g}")
    if log and step is not None:
        raise ConfigError(f"{path}: log and step exclude each other; drop one")
    if log and not low > 0:
        raise ConfigError(f"{path}.low={low}: a logarithmic range begins above 0")
    whole = all(isinstance(value, int) for value in numbers if value is not None)
    return Parameter(
        **common,
        kind="int" if whole else "float",
        choices=(),
        low=low,
        high=high,
        log=log,
        step=step,
    )


def _stored(value: Any) -> Value:
    return json.dumps(value) if isinstance(value, list | dict) else value


def _condition_faults(
    parameter: Parameter, node: Mapping[str, Any], parameters: Mapping[str, Parameter]
) -> Iterator[str]:
    for other, values in parameter.when.items():
        path = f"{parameter.path}.when.{other}"
        if other not in node:
            known = ", ".join(name for name in node if name != parameter.name)
            yield f"{path}: no parameter of the space has this name; there are {known}"
        elif other in parameters and parameters[other].kind != "choices":
            yield f"{path}: a condition needs a parameter with choices"
        elif other in parameters:
            for value in values:
                if value not in parameters[other].choices:
                    yield f"{path}={value!r}: search.space.{other}.choices does not have this value"


def _shared_keys(parameters: Mapping[str, Parameter]) -> Iterator[str]:
    """Yield a fault where two parameters can set one key at the same time."""
    for one, two in itertools.combinations(parameters.values(), 2):
        apart = any(
            not set(one.when[name]) & set(two.when[name]) for name in one.when if name in two.when
        )
        if one.key == two.key and not apart:
            yield f"{two.path}.key={two.key}: search.space.{one.name} sets it too; drop one"


def _in_order(parameters: Mapping[str, Parameter]) -> tuple[Parameter, ...]:
    ordered: list[Parameter] = []
    waiting = list(parameters.values())
    while waiting:
        placed = {parameter.name for parameter in ordered}
        ready = [p for p in waiting if set(p.when) <= placed]
        if not ready:
            names = ", ".join(p.name for p in waiting)
            raise ConfigError(f"search.space: the conditions of {names} depend on each other")
        ordered += ready
        waiting = [p for p in waiting if p not in ready]
    return tuple(ordered)
