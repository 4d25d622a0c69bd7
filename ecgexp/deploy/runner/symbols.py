"""Sum the emulator's counts per function."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections import defaultdict
from pathlib import Path

from ecgexp.deploy.process import find_tool, run_process
from ecgexp.deploy.runner.records import FunctionCost
from ecgexp.errors import RunnerError

_TIMEOUT_S = 30.0


def parse_symbols(text: str) -> tuple[list[int], list[str]]:
    """Read `nm` and return function addresses, ascending, with their names.

    Args:
        text: Output of `nm --numeric-sort`.
    """
    found: dict[int, str] = {}
    for line in text.splitlines():
        parts = line.split()
        # $t and $d are the assembler's marks of code and data, not functions.
        if len(parts) == 3 and parts[1] in "tTwW" and not parts[2].startswith("$"):
            found.setdefault(int(parts[0], 16) & ~1, parts[2])
    addresses = sorted(found)
    return addresses, [found[address] for address in addresses]


def sum_by_function(
    profile: Path, nm_text: str, *, estimates_cycles: bool
) -> tuple[FunctionCost, ...]:
    """Sum the plugin's blocks per function, the most expensive first.

    Args:
        profile: JSON lines, one per block of instructions.
        nm_text: Output of `nm --numeric-sort` of the image.
        estimates_cycles: Whether the cycle model describes the core.
    """
    addresses, names = parse_symbols(nm_text)
    instructions: dict[str, int] = defaultdict(int)
    cycles: dict[str, int] = defaultdict(int)
    for line in profile.read_text(encoding="utf-8").splitlines():
        block = json.loads(line)
        position = bisect_right(addresses, block["address"]) - 1
        name = names[position] if position >= 0 else "unknown"
        instructions[name] += block["instructions"]
        cycles[name] += block["cycles_est"]
    costs = [
        FunctionCost(
            function=name,
            instructions=instructions[name],
            cycles_est=cycles[name] if estimates_cycles else None,
        )
        for name in instructions
    ]
    return tuple(
        sorted(costs, key=lambda cost: (-(cost.cycles_est or cost.instructions), cost.function))
    )


def read_symbols(elf: Path, folder: Path) -> str:
    """Return the output of `nm --numeric-sort`.

    Args:
        elf: Image.
        folder: For the tool's output.

    Raises:
        RunnerError: The tool is missing or cannot read the image.
    """
    tool = find_tool("arm-none-eabi-nm", "it names functions in the profile", RunnerError)
    listing = folder / "symbols.txt"
    listing.unlink(missing_ok=True)
    finished = run_process(
        [tool, "--numeric-sort", str(elf.resolve())],
        cwd=folder,
        stdout=listing,
        stderr=listing,
        timeout_s=_TIMEOUT_S,
    )
    text = listing.read_text(encoding="utf-8")
    listing.unlink()
    if finished.returncode != 0:
        raise RunnerError(f"{tool} cannot read {elf}: {text.strip()}")
    return text
