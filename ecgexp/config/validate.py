"""Find every fault of a configuration before anything runs."""

from __future__ import annotations

import difflib
import inspect
import re
import types
import typing
from collections.abc import Iterator
from typing import Any

from ecgexp.config.build import locate
from ecgexp.config.compose import Job
from ecgexp.errors import ConfigError

# What the program itself hands to the target of a group, beside the keys of the file.
RUNTIME_ARGUMENTS: dict[str, tuple[str, ...]] = {
    "dataset": ("chain", "data_dir", "cache_dir", "seed"),
    "architecture": ("spec",),
    "objective": ("spec", "class_counts"),
    "trainer": ("callbacks", "logger", "default_root_dir"),
    "tracking": ("home",),
}
CALLBACK_ARGUMENTS = ("folder",)
FORMATS = ("table", "json")
_PASSWORD = re.compile(r"://[^/\s@]*:[^/\s@]*@")


def validate(job: Job) -> None:
    """Check keys, targets, signatures and simple types; report all faults at once.

    Raises:
        ConfigError: One line per fault, each with its config path and remedy.
    """
    faults = [*_unknown_keys(job.config, job.known), *_root_faults(job.config)]
    faults += _secret_faults(job.config)
    for group, node in job.config.items():
        if group == "callbacks":
            for name, callback in node.items():
                faults += _callback_faults(name, callback)
        elif isinstance(node, dict) and group in job.choices:
            faults += _node_faults(node, group, RUNTIME_ARGUMENTS.get(group, ()))
    if faults:
        raise ConfigError("\n".join(dict.fromkeys(faults)))


def _root_faults(config: dict[str, Any]) -> Iterator[str]:
    # Only a table with columns to choose can be one of comma-separated values.
    formats = (*FORMATS, "csv") if "columns" in config else FORMATS
    if config.get("format") not in formats:
        yield f"format={config.get('format')!r}: use one of {', '.join(formats)}"
    seed = config.get("seed", 0)
    if not isinstance(seed, int) or isinstance(seed, bool) or seed < 0:
        yield f"seed={seed!r}: use a whole number >= 0"
    if not isinstance(config.get("force", False), bool):
        yield f"force={config['force']!r}: use true or false"
    mode = config.get("monitor", {}).get("mode", "max")
    if mode not in ("min", "max"):
        yield f"monitor.mode={mode!r}: use min or max"


def _secret_faults(node: Any, path: str = "") -> Iterator[str]:
    """Yield a fault per address with a password: configurations are kept in every run."""
    if isinstance(node, dict):
        for key, value in node.items():
            yield from _secret_faults(value, f"{path}.{key}" if path else str(key))
    elif isinstance(node, list):
        for index, item in enumerate(node):
            yield from _secret_faults(item, f"{path}[{index}]")
    elif isinstance(node, str) and _PASSWORD.search(node):
        yield (
            f"{path}={_PASSWORD.sub('://***@', node)}: a password stands in it, and configurations "
            "are kept with every run; write the address without, and set "
            "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or PGPASSWORD for PostgreSQL"
        )


def _unknown_keys(config: Any, known: Any, path: str = "") -> Iterator[str]:
    """Yield a fault per key that no primary config or option file declares."""
    if not isinstance(config, dict) or not isinstance(known, dict):
        return
    for key, value in config.items():
        here = f"{path}.{key}" if path else str(key)
        if key in known:
            yield from _unknown_keys(value, known[key], here)
        elif path != "callbacks":
            close = difflib.get_close_matches(str(key), [str(name) for name in known], n=1)
            hint = (
                f"did you mean {close[0]!r}?" if close else f"known: {', '.join(map(str, known))}"
            )
            yield f"unknown key {here!r}: {hint}"


def _callback_faults(name: str, node: Any) -> Iterator[str]:
    path = f"callbacks.{name}"
    if not isinstance(node, dict) or "_target_" not in node:
        yield f"{path}: a callback needs a `_target_`; is the name misspelt?"
        return
    yield from _node_faults(node, path, CALLBACK_ARGUMENTS)


def _node_faults(node: dict[str, Any], path: str, runtime: tuple[str, ...]) -> Iterator[str]:
    for key, value in node.items():
        yield from _nested_faults(value, f"{path}.{key}")
    try:
        target = locate(node, path)
    except ConfigError as error:
        yield str(error)
        return
    yield from _signature_faults(target, node, path, runtime)


def _nested_faults(value: Any, path: str) -> Iterator[str]:
    if isinstance(value, dict):
        if "_target_" in value:
            yield from _node_faults(value, path, ())
        else:
            for key, item in value.items():
                yield from _nested_faults(item, f"{path}.{key}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _nested_faults(item, f"{path}[{index}]")


def _signature_faults(
    target: Any, node: dict[str, Any], path: str, runtime: tuple[str, ...]
) -> Iterator[str]:
    parameters = inspect.signature(target).parameters
    given = {key: value for key, value in node.items() if key not in ("_target_", "_partial_")}
    for key in given:
        if key not in parameters:
            close = difflib.get_close_matches(key, list(parameters), n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"it takes {', '.join(parameters)}"
            yield f"{path}.{key}: {node['_target_']} has no such parameter; {hint}"
    for name, parameter in parameters.items():
        required = (
            parameter.default is parameter.empty and parameter.kind is not parameter.VAR_KEYWORD
        )
        if required and not node.get("_partial_") and name not in given and name not in runtime:
            yield f"{path}.{name}: missing; {node['_target_']} needs it"
    yield from _type_faults(target, given, path)


def _type_faults(target: Any, given: dict[str, Any], path: str) -> Iterator[str]:
    function = target.__init__ if inspect.isclass(target) else target
    try:
        hints = typing.get_type_hints(function)
    except (NameError, TypeError, AttributeError):
        return
    for key, value in given.items():
        if key in hints and not _fits(value, hints[key]):
            yield f"{path}.{key}={value!r}: expected {_in_words(hints[key])}"


def _in_words(hint: Any) -> str:
    if typing.get_origin(hint) is typing.Literal:
        return f"one of {', '.join(map(str, typing.get_args(hint)))}"
    return hint.__name__ if isinstance(hint, type) else str(hint).replace("typing.", "")


def _fits(value: Any, hint: Any) -> bool:
    """Whether a plain value can be what an annotation says; unknown annotations accept all."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return any(_fits(value, argument) for argument in arguments)
    if origin is typing.Literal:
        return value in arguments
    if origin in (list, tuple) or hint in (list, tuple):
        elements = [argument for argument in arguments if argument is not Ellipsis]
        return isinstance(value, list) and (
            not elements or all(any(_fits(item, e) for e in elements) for item in value)
        )
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if hint in (bool, str, type(None)):
        return isinstance(value, hint)
    return not (
        isinstance(value, str | bool | int | float)
        and inspect.isclass(hint)
        and hint.__module__.startswith("torch")
    )
