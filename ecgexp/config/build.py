"""The one door from a configuration node to an object."""

from __future__ import annotations

import functools
import importlib
import inspect
from typing import Any

from ecgexp.errors import ConfigError

ALLOWED_TARGETS = ("ecgexp.", "torch.optim.", "torch.nn.", "pytorch_lightning.")


def build(node: dict[str, Any], *, path: str = "", **runtime: Any) -> Any:
    """Build the object that a node's `_target_` names.

    Nested nodes are built first; `_partial_: true` gives a `functools.partial`.

    Args:
        node: Plain mapping with `_target_` and the target's keyword arguments.
        path: Config path, for messages.
        **runtime: Further keyword arguments that only the program knows.

    Raises:
        ConfigError: The target is not allowed, does not exist, or does not take the keys.
    """
    target = locate(node, path)
    arguments = {
        key: _build_value(value, f"{path}.{key}")
        for key, value in node.items()
        if key not in ("_target_", "_partial_")
    }
    arguments.update(runtime)
    if node.get("_partial_"):
        return functools.partial(target, **arguments)
    try:
        inspect.signature(target).bind(**arguments)
    except TypeError as error:
        raise ConfigError(
            f"{path}: {node['_target_']} does not take these keys: {error}"
        ) from error
    return target(**arguments)


def _build_value(value: Any, path: str) -> Any:
    if isinstance(value, dict):
        if "_target_" in value:
            return build(value, path=path)
        return {key: _build_value(item, f"{path}.{key}") for key, item in value.items()}
    if isinstance(value, list):
        return [_build_value(item, f"{path}[{index}]") for index, item in enumerate(value)]
    return value


def locate(node: dict[str, Any], path: str) -> Any:
    """Return the class or function that a node names, after the allow-list check.

    Raises:
        ConfigError: No `_target_`, one that is not allowed, or one that does not exist.
    """
    dotted = node.get("_target_")
    if not isinstance(dotted, str):
        raise ConfigError(f"{path}: `_target_` is missing; add the dotted path of what to build")
    segments = dotted.split(".")
    if not dotted.startswith(ALLOWED_TARGETS) or any(part.startswith("_") for part in segments):
        allowed = ", ".join(f"{prefix}*" for prefix in ALLOWED_TARGETS)
        raise ConfigError(
            f"{path}._target_: {dotted!r} is not allowed; public names in {allowed} are"
        )
    module_name, _, attribute = dotted.rpartition(".")
    try:
        found = getattr(importlib.import_module(module_name), attribute)
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"{path}._target_: cannot find {dotted!r} ({error})") from error
    if not callable(found):
        raise ConfigError(f"{path}._target_: {dotted!r} is not a class or function")
    return found
