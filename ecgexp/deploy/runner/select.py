"""Pick the runner that a target names."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from ecgexp.deploy.firmware import Firmware
from ecgexp.deploy.runner import fvp, host, qemu
from ecgexp.deploy.runner.records import RunLog
from ecgexp.target import Target


class Runner(Protocol):
    """Run an image on its target and return what it reported."""

    def __call__(
        self,
        firmware: Firmware,
        target: Target,
        *,
        timeout_s: float,
        folder: Path,
        cache_folder: Path,
    ) -> RunLog:
        """Run every golden window.

        Args:
            firmware: Image.
            target: Where to run it.
            timeout_s: Wall-clock limit in seconds.
            folder: Gets the logs.
            cache_folder: Kept between runs.
        """
        ...


def runner_for(target: Target) -> Runner:
    """Return the runner of a target.

    Args:
        target: Its `runner` decides; `none` has none.
    """
    runners: dict[str, Runner] = {"qemu": qemu.run, "fvp": fvp.run, "host": host.run}
    return runners[target.runner]
