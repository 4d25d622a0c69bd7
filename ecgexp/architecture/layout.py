"""Turn the lists of an architecture's YAML into checked records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any, TypeVar

from ecgexp.errors import ConfigError
from ecgexp.types import SignalSpec

Record = TypeVar("Record")


def read_record(kind: type[Record], node: Mapping[str, Any], path: str) -> Record:
    """Build one record of positive integers and switches from a YAML mapping.

    Args:
        kind: A dataclass whose fields are all `int` or `bool`.
        node: The mapping.
        path: Where it stands in the config, for messages.

    Raises:
        ConfigError: A key is unknown or missing, or a value is no positive integer or switch.
    """
    _check_keys(kind, node, path)
    for field in fields(kind):  # type: ignore[arg-type]
        value = node[field.name]
        if field.type == "bool":
            if not isinstance(value, bool):
                raise ConfigError(f"{path}.{field.name}={value!r}: write true or false")
        elif not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise ConfigError(f"{path}.{field.name}={value!r}: write an integer of at least 1")
    return kind(**node)


def read_records(
    kind: type[Record], nodes: Sequence[Mapping[str, Any]] | Mapping[str, Any], path: str
) -> tuple[Record, ...]:
    """Build records from a YAML list of mappings, or from one mapping that holds columns.

    In a mapping of columns a list has one entry per record; a single value counts for all.

    Raises:
        ConfigError: There is no record, columns differ in length, or one record is wrong.
    """
    if isinstance(nodes, Mapping):
        nodes = _rows(kind, nodes, path)
    if isinstance(nodes, str) or not isinstance(nodes, Sequence) or not nodes:
        raise ConfigError(f"{path}={nodes!r}: write a list of at least one mapping")
    return tuple(read_record(kind, node, f"{path}[{i}]") for i, node in enumerate(nodes))


def _rows(kind: type[Any], columns: Mapping[str, Any], path: str) -> list[dict[str, Any]]:
    _check_keys(kind, columns, path)
    lengths = {key: len(value) for key, value in columns.items() if isinstance(value, list | tuple)}
    if len(set(lengths.values())) != 1:
        raise ConfigError(
            f"{path}: its lists have the lengths {lengths}; "
            "write at least one list, and all of the same length"
        )
    n_rows = next(iter(lengths.values()))
    return [
        {key: value[i] if key in lengths else value for key, value in columns.items()}
        for i in range(n_rows)
    ]


def _check_keys(kind: type[Any], node: Mapping[str, Any], path: str) -> None:
    names = [field.name for field in fields(kind)]
    if not isinstance(node, Mapping):
        raise ConfigError(f"{path}={node!r}: write a mapping with the keys {names}")
    if set(node) != set(names):
        unknown, missing = sorted(set(node) - set(names)), sorted(set(names) - set(node))
        raise ConfigError(
            f"{path}: unknown keys {unknown}, missing keys {missing}; write exactly {names}"
        )


def check_choice(value: str, choices: Sequence[str], path: str) -> str:
    """Return a word that is one of several.

    Raises:
        ConfigError: It is not.
    """
    if value not in choices:
        raise ConfigError(f"{path}={value!r}: write one of {', '.join(choices)}")
    return value


def check_rate(value: float, path: str) -> float:
    """Return a dropout rate that is at least 0 and below 1.

    Raises:
        ConfigError: It is not.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0.0 <= value < 1.0:
        raise ConfigError(f"{path}={value!r}: write a rate of at least 0 and below 1")
    return float(value)


def check_images(spec: SignalSpec) -> int:
    """Return the channels of windows that are images.

    Raises:
        ConfigError: They are signals.
    """
    if spec.n_rows is None:
        raise ConfigError(
            f"architecture: this network reads images, but windows have shape {spec.window_shape}; "
            "make images with preprocessing=beat_scalogram or preprocessing=spectrogram"
        )
    return spec.n_leads
