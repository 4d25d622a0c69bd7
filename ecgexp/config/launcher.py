"""The `hydra/launcher` words of a sweep: which plugin starts its jobs, with which settings."""

from __future__ import annotations

import difflib
import importlib.util
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ecgexp.config.compose import dotted_keys, explain, open_hydra
from ecgexp.errors import ConfigError

GROUP = "hydra/launcher"
# Option -> extra of ecgexp and the modules that it installs.
EXTRAS: dict[str, tuple[str, tuple[str, ...]]] = {
    "joblib": ("joblib", ("hydra_plugins.hydra_joblib_launcher", "joblib")),
    "submitit_local": ("slurm", ("hydra_plugins.hydra_submitit_launcher", "submitit")),
    "submitit_slurm": ("slurm", ("hydra_plugins.hydra_submitit_launcher", "submitit")),
    "ray": ("ray", ("hydra_plugins.hydra_ray_launcher", "ray")),
}
BASIC = "basic"


@dataclass(frozen=True, kw_only=True)
class LauncherChoice:
    """How the jobs of a sweep are started.

    Attributes:
        name: Option of `hydra/launcher`.
        settings: The plugin's own settings, resolved.
    """

    name: str
    settings: dict[str, Any]


def split_words(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the words that make the jobs, and those that choose and set the launcher."""
    launcher = [word for word in words if word.lstrip("+~").startswith(("hydra/", "hydra."))]
    return [word for word in words if word not in launcher], launcher


def compose_launcher(words: Sequence[str], folder: Path) -> LauncherChoice:
    """Compose the launcher's settings as Hydra would.

    Args:
        words: `hydra/launcher=...` and `hydra.launcher....=...`.
        folder: Folder of the sweep, where submitit keeps its files.

    Raises:
        ConfigError: The launcher is unknown or not installed, or a setting does not exist.
    """
    from hydra import compose as hydra_compose
    from hydra.errors import HydraException
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    for word in words:
        if not word.lstrip("+~").startswith(("hydra/launcher=", "hydra.launcher.")):
            raise ConfigError(
                f"{word}: of Hydra's own settings ecgexp takes hydra/launcher=NAME and "
                "hydra.launcher.KEY=VALUE"
            )
    name = _chosen(words)
    _check_installed(name)
    place = (f"hydra.sweep.dir={folder}", "hydra.job.name=ecgexp")
    with open_hydra(()):
        try:
            full = hydra_compose("config", [*words, *place], return_hydra_config=True)
            settings = OmegaConf.to_container(full.hydra.launcher, resolve=True)
        except (HydraException, OmegaConfBaseException) as error:
            raise ConfigError(f"{' '.join(words)}: {_explain(error, name)}") from error
    return LauncherChoice(name=name, settings=_without_target(settings))


def _without_target(settings: Any) -> dict[str, Any]:
    return {str(key): value for key, value in settings.items() if key != "_target_"}


def _explain(error: Exception, name: str) -> str:
    """Say what Hydra refused; for an unknown setting, which ones there are."""
    from hydra import compose as hydra_compose
    from omegaconf import OmegaConf

    unknown = re.search(r"Could not override 'hydra\.launcher\.([^']+)'", str(error))
    if not unknown:
        return explain(error, "config", [])
    plain = hydra_compose("config", [f"{GROUP}={name}"], return_hydra_config=True)
    there = _without_target(OmegaConf.to_container(plain.hydra.launcher, resolve=False))
    known = [key for key in dotted_keys(there) if not isinstance(there.get(key), dict)]
    close = difflib.get_close_matches(unknown.group(1), known, n=1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return f"the launcher {name!r} has no setting {unknown.group(1)!r}: {hint}it has " + (
        ", ".join(known) or "none"
    )


def _chosen(words: Sequence[str]) -> str:
    names = [word.partition("=")[2] for word in words if word.startswith(f"{GROUP}=")]
    return names[-1] if names else BASIC


def _check_installed(name: str) -> None:
    if name == BASIC:
        return
    if name not in EXTRAS:
        known = [BASIC, *EXTRAS]
        close = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {close[0]!r}? " if close else ""
        raise ConfigError(f"{GROUP}={name}: {hint}there are {', '.join(known)}")
    extra, modules = EXTRAS[name]
    if not all(_is_there(module) for module in modules):
        raise ConfigError(f"{GROUP}={name} is not installed: pip install 'ecgexp[{extra}]'")


def _is_there(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False
