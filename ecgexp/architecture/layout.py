"""Turn the lists of an architecture's YAML into checked records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any, TypeVar

from ecgexp.errors import ConfigError

Record = TypeVar("Record")


def read_record(kind: type[Record], node: Mapping[str, Any], path: str) -> Record:
    """Build one record of positive integers from a YAML mapping.

    Args:
        kind: A dataclass whose fields are all integers.
        node: The mapping.
        path: Where it stands in the config, for messages.

    Raises:
        ConfigError: A key is unknown or missing, or a value is no positive integer.
    """
    if not isinstance(node, Mapping):
        raise ConfigError(f"{path}={node!r}: write a mapping with the keys {_names(kind)}")
    wanted = {field.name for field in fields(kind)}  # type: ignore[arg-type]
    if set(node) != wanted:
        unknown, missing = sorted(set(node) - wanted), sorted(wanted - set(node))
        raise ConfigError(
            f"{path}: unknown keys {unknown}, missing keys {missing}; write exactly {_names(kind)}"
        )
    for key, value in node.items():
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise ConfigError(f"{path}.{key}={value!r}: write an integer of at least 1")
    return kind(**node)


def read_records(
    kind: type[Record], nodes: Sequence[Mapping[str, Any]], path: str
) -> tuple[Record, ...]:
    """Build the records of a YAML list that must not be empty.

    Raises:
        ConfigError: The list is empty or one of its mappings is wrong.
    """
    if isinstance(nodes, str | Mapping) or not isinstance(nodes, Sequence) or not nodes:
        raise ConfigError(f"{path}={nodes!r}: write a list of at least one mapping")
    return tuple(read_record(kind, node, f"{path}[{i}]") for i, node in enumerate(nodes))


def check_rate(value: float, path: str) -> float:
    """Return a dropout rate that is at least 0 and below 1.

    Raises:
        ConfigError: It is not.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0.0 <= value < 1.0:
        raise ConfigError(f"{path}={value!r}: write a rate of at least 0 and below 1")
    return float(value)


def _names(kind: type[Any]) -> list[str]:
    return [field.name for field in fields(kind)]
