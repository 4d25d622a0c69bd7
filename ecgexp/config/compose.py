"""Compose a configuration with Hydra and turn it into plain containers."""

from __future__ import annotations

import difflib
import itertools
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ecgexp.config.fingerprint import fingerprint
from ecgexp.errors import ConfigError
from ecgexp.resources import resource_folder

VERSION_BASE = "1.3"
OVERLAYS = ("experiment", "debug")
# What the files of some chosen options declare; jobs of a sweep often choose the same ones.
Declared = dict[tuple[str, ...], dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Job:
    """One composed configuration, ready to validate and run.

    Attributes:
        config: Every value resolved; plain dicts, lists and scalars.
        choices: Group name to chosen option.
        overrides: The command-line words that made it.
        fingerprint: Hash of everything that can change a result.
        known: The same groups without overlays and added keys: the keys that may exist.
    """

    config: dict[str, Any]
    choices: dict[str, str | None]
    overrides: tuple[str, ...]
    fingerprint: str
    known: dict[str, Any]


@contextmanager
def open_hydra(folders: Sequence[Path]) -> Iterator[list[str]]:
    """Open Hydra on the shipped conf folder; yield the overrides that add the user's folders."""
    from hydra import initialize_config_dir

    paths = ",".join(f"file://{folder.resolve()}" for folder in folders)
    with initialize_config_dir(version_base=VERSION_BASE, config_dir=str(resource_folder("conf"))):
        yield [f"hydra.searchpath=[{paths}]"] if folders else []


def compose(config_name: str, overrides: Sequence[str] = (), folders: Sequence[Path] = ()) -> Job:
    """Compose one configuration.

    Args:
        config_name: Name of a primary config in `conf/`, without suffix.
        overrides: Hydra overrides, without sweeps.
        folders: Further config folders, searched after the shipped one.

    Raises:
        ConfigError: An option, key or value does not exist or does not parse.
    """
    with open_hydra(folders) as search_path:
        return _compose(config_name, list(overrides), search_path, {})


def compose_sweep(
    config_name: str, overrides: Sequence[str], folders: Sequence[Path] = ()
) -> list[Job]:
    """Compose every combination of a sweep (`a=1,2 b=x,y`) before the first one runs.

    Raises:
        ConfigError: Any combination cannot be composed.
    """
    declared: Declared = {}
    with open_hydra(folders) as search_path:
        return [
            _compose(config_name, list(combination), search_path, declared)
            for combination in _expand(overrides)
        ]


def _expand(overrides: Sequence[str]) -> Iterator[tuple[str, ...]]:
    from hydra.core.global_hydra import GlobalHydra
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.core.override_parser.types import Transformer
    from hydra.errors import OverrideParseException

    parser = OverridesParser.create(config_loader=GlobalHydra.instance().config_loader())
    try:
        parsed = parser.parse_overrides(list(overrides))
    except OverrideParseException as error:
        raise ConfigError(f"cannot read the override {error.override!r}: {error}") from error
    choices = []
    for word, override in zip(overrides, parsed, strict=True):
        if override.is_sweep_override():
            values = override.sweep_iterator(transformer=Transformer.encode)
            choices.append([f"{override.get_key_element()}={value}" for value in values])
        else:
            choices.append([word])
    return itertools.product(*choices)


def _compose(
    config_name: str, overrides: list[str], search_path: list[str], declared: Declared
) -> Job:
    from hydra import compose as hydra_compose
    from hydra.errors import HydraException
    from omegaconf import OmegaConf, open_dict
    from omegaconf.errors import OmegaConfBaseException

    try:
        full = hydra_compose(config_name, [*search_path, *overrides], return_hydra_config=True)
        choices = {
            group: option
            for group, option in full.hydra.runtime.choices.items()
            if not group.startswith("hydra/")
        }
        with open_dict(full):
            del full["hydra"]
        raw = OmegaConf.to_container(full, resolve=False)
        config = OmegaConf.to_container(full, resolve=True, throw_on_missing=True)
        groups = tuple(
            f"{group}={option}"
            for group, option in choices.items()
            if group not in OVERLAYS and option is not None
        )
        if groups not in declared:
            base = hydra_compose(config_name, [*search_path, *groups])
            declared[groups] = _plain(OmegaConf.to_container(base, resolve=False))
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(explain(error, config_name, search_path)) from error
    except ValueError as error:  # Hydra's, of a group that is set to something else than a name
        raise ConfigError(f"{' '.join(overrides)}: {error}; leave the group out instead") from error
    return Job(
        config=_plain(config),
        choices=choices,
        overrides=tuple(overrides),
        fingerprint=fingerprint(_plain(raw)),
        known=declared[groups],
    )


def _plain(container: Any) -> dict[str, Any]:
    if not isinstance(container, dict):
        raise ConfigError("the composed configuration is not a mapping: check the file's top level")
    return container


def explain(error: Exception, config_name: str, search_path: list[str]) -> str:
    """Turn Hydra's multi-line complaint into one message that names key and remedy."""
    from hydra.errors import OverrideParseException

    text = str(error).strip()
    unknown = re.search(r"Could not override '([^']+)'", text)
    if unknown:
        key = unknown.group(1)
        close = difflib.get_close_matches(key, _known_keys(config_name, search_path), n=1)
        hint = f"did you mean {close[0]!r}?" if close else "see `ecgexp run --cfg job`"
        if close == [key]:
            hint = f"the chosen option of {key.partition('.')[0]} has no such key"
        return f"unknown key {key!r} on the command line: {hint}"
    text = " ".join(text.split()).split(" Config search path:")[0].split(" See https:")[0]
    if isinstance(error, OverrideParseException):
        return f"cannot read the override {error.override!r}: {text}"
    return text


def _known_keys(config_name: str, search_path: list[str]) -> list[str]:
    from hydra import compose as hydra_compose
    from omegaconf import OmegaConf

    base = OmegaConf.to_container(hydra_compose(config_name, search_path), resolve=False)
    return list(dotted_keys(_plain(base)))


def dotted_keys(node: dict[str, Any], prefix: str = "") -> Iterator[str]:
    """Yield every key of nested mappings as a dotted path."""
    for key, value in node.items():
        path = f"{prefix}{key}"
        yield path
        if isinstance(value, dict):
            yield from dotted_keys(value, f"{path}.")


def to_yaml(config: dict[str, Any]) -> str:
    """Return a configuration as YAML text in its own key order."""
    from omegaconf import OmegaConf

    return OmegaConf.to_yaml(OmegaConf.create(config))


def from_yaml(path: Path) -> dict[str, Any]:
    """Read a configuration written by `to_yaml`.

    Raises:
        ConfigError: The file is missing or is not YAML.
    """
    import yaml

    try:
        return _plain(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, yaml.YAMLError) as error:
        raise ConfigError(f"cannot read the configuration {path}: {error}") from error


def save_job(job: Job, path: Path) -> None:
    """Write a job so that an interrupted run can go on with the configuration it began with."""
    import yaml

    fields = {"config": job.config, "choices": job.choices, "overrides": list(job.overrides)}
    text = yaml.safe_dump({**fields, "fingerprint": job.fingerprint}, sort_keys=False)
    aside = path.with_name(f".{path.name}.part")
    aside.write_text(text, encoding="utf-8")
    aside.replace(path)  # whole or not at all, whatever kills the process


def load_job(path: Path) -> Job:
    """Read a job written by `save_job`.

    Raises:
        ConfigError: The file is missing or damaged.
    """
    fields = from_yaml(path)
    try:
        return Job(
            config=fields["config"],
            choices=fields["choices"],
            overrides=tuple(fields["overrides"]),
            fingerprint=fields["fingerprint"],
            known=fields["config"],
        )
    except KeyError as error:
        raise ConfigError(f"{path} is damaged: {error} is missing; start the run afresh") from error
