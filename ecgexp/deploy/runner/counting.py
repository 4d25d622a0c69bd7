"""Turn ticks and the emulator's region counts into instructions and estimated cycles."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from ecgexp.deploy.runner.protocol import Report
from ecgexp.errors import RunnerError

# With `-icount shift=10` QEMU advances its clock by 1024 ns per instruction.
ICOUNT_SHIFT = 10
_NS_PER_INSTRUCTION = 1 << ICOUNT_SHIFT
_NS_PER_S = 1_000_000_000
# The two counts bracket the same code; compilers may move a constant few instructions across.
TOLERANCE_INSTRUCTIONS = 8
_REGION_INFERENCE = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Region:
    """What the plugin counted in one inference.

    Attributes:
        instructions: Executed instructions.
        cycles_est: Cycles of the beat model.
        mix: Instructions by kind.
    """

    instructions: int
    cycles_est: int
    mix: dict[str, int]


def ticks_to_instructions(ticks: int, ticks_hz: int) -> int:
    """Convert ticks of the emulated counter, 32.768 per instruction at 32 MHz.

    Args:
        ticks: Ticks without the overhead of an empty measurement.
        ticks_hz: Frequency of the counter.
    """
    per_s = ticks_hz * _NS_PER_INSTRUCTION
    return (2 * ticks * _NS_PER_S + per_s) // (2 * per_s)


def read_regions(path: Path) -> tuple[Region, ...]:
    """Read the plugin's counts of all inferences.

    Args:
        path: JSON lines.

    Raises:
        RunnerError: The file is missing or broken.
    """
    regions = []
    try:
        for line in path.read_text(encoding="utf-8").splitlines():
            entry = json.loads(line)
            if entry["region"] == _REGION_INFERENCE:
                regions.append(
                    Region(
                        instructions=entry["instructions"],
                        cycles_est=entry["cycles_est"],
                        mix=entry["mix"],
                    )
                )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunnerError(f"the emulator's counts in {path} cannot be read: {error}") from error
    return tuple(regions)


def cross_check(report: Report, regions: tuple[Region, ...]) -> tuple[int, ...]:
    """Return the instructions per inference after comparing counter and plugin.

    Args:
        report: The firmware's own ticks.
        regions: The plugin's counts.

    Raises:
        RunnerError: The two disagree.
    """
    if len(regions) != len(report.answers):
        raise RunnerError(
            f"the emulator's plugin saw {len(regions)} inferences, "
            f"the firmware reported {len(report.answers)}"
        )
    counts = []
    for answer, region in zip(report.answers, regions, strict=True):
        ticks = answer.ticks - report.overhead_ticks
        counted = ticks_to_instructions(ticks, report.ticks_hz)
        if abs(counted - region.instructions) > TOLERANCE_INSTRUCTIONS:
            raise RunnerError(
                f"inference {answer.index} took {counted} instructions by the board's counter but "
                f"{region.instructions} by the emulator's plugin: neither can be trusted"
            )
        counts.append(counted)
    return tuple(counts)
