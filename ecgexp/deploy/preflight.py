"""Find out before hours of training whether a deploy could build and run anything."""

from __future__ import annotations

from ecgexp.deploy.firmware import find_build_tools
from ecgexp.deploy.process import find_tool
from ecgexp.deploy.runner.fvp import find_model
from ecgexp.deploy.runner.plugin import find_compiler
from ecgexp.errors import ConfigError, RunnerError
from ecgexp.target import Target
from ecgexp.types import SignalSpec


def require_tools(target: Target) -> None:
    """Check that every program a deploy to a target will start is there; starts none of them.

    Args:
        target: Where a network will run.

    Raises:
        BuildError: A compiler or build tool is missing.
        RunnerError: The emulator or model is missing.
    """
    find_build_tools(target)
    if target.runner == "qemu":
        purpose = f"it runs the firmware of target {target.name}"
        find_tool(str(target.executable), purpose, RunnerError)
        find_compiler()
    elif target.runner == "fvp":
        find_model(target)


def require_measurable(target: Target) -> None:
    """Check that schedules can be measured on a target.

    Args:
        target: Where a network will run.

    Raises:
        ConfigError: The target does not run on the emulator, or no cycle model describes it.
    """
    if target.runner != "qemu" or not target.estimates_cycles:
        raise ConfigError(
            f"deploy.tune=true measures cycles on the emulator, which target {target.name} "
            f"(runner={target.runner}, cpu={target.cpu}) has none of: use "
            "target=corstone300_m55, or set deploy.tune=false"
        )


def require_one_class(spec: SignalSpec) -> None:
    """Check that a network gives each window one class, which is all that firmware can say.

    Args:
        spec: Input and output of the network.

    Raises:
        ConfigError: A window can have several classes.
    """
    if spec.several:
        raise ConfigError(
            f"deploy: the network names any number of {', '.join(spec.labels)}, but firmware and "
            "C library say one class and its softmax probability: use deploy=none, or a task "
            "with one class a window"
        )
