"""Run an image on qemu-system-arm: exact instruction counts, twice and independently."""

from __future__ import annotations

from pathlib import Path

from ecgexp.deploy.firmware import Firmware
from ecgexp.deploy.process import find_tool
from ecgexp.deploy.runner.counting import ICOUNT_SHIFT, cross_check, read_regions
from ecgexp.deploy.runner.execute import execute
from ecgexp.deploy.runner.plugin import build_plugin
from ecgexp.deploy.runner.records import RunLog, make_record
from ecgexp.deploy.runner.symbols import read_symbols, sum_by_function
from ecgexp.errors import RunnerError
from ecgexp.target import Target

_REGIONS = "regions.jsonl"
_PROFILE = "blocks.jsonl"


def command_line(executable: str, machine: str, elf: Path, plugin: Path) -> list[str]:
    """Return the emulator's command; it writes its counts into the working folder.

    Args:
        executable: `qemu-system-arm`.
        machine: Board model.
        elf: Image.
        plugin: The counting plugin.
    """
    return [
        executable,
        *("-machine", machine),
        *("-no-user-config", "-nodefaults"),
        *("-display", "none"),
        *("-serial", "stdio"),
        *("-semihosting-config", "enable=on,target=native"),
        *("-icount", f"shift={ICOUNT_SHIFT}"),
        # QEMU splits this argument at commas; in a file name they are doubled.
        *("-plugin", f"{_escape(plugin)},regions={_REGIONS},profile={_PROFILE}"),
        *("-kernel", str(elf)),
    ]


def run(
    firmware: Firmware, target: Target, *, timeout_s: float, folder: Path, cache_folder: Path
) -> RunLog:
    """Run every golden window on the emulated board.

    Args:
        firmware: Image.
        target: A target with runner `qemu`.
        timeout_s: Wall-clock limit in seconds.
        folder: Gets `uart.log` and the emulator's counts.
        cache_folder: Keeps the compiled plugin.

    Raises:
        RunnerError: No emulator, or the run gave no complete and consistent report.
        BuildError: The plugin cannot be compiled.
    """
    purpose = f"it runs the firmware of target {target.name}"
    executable = find_tool(str(target.executable), purpose, RunnerError)
    plugin = build_plugin(cache_folder)
    for stale in (folder / _REGIONS, folder / _PROFILE):
        stale.unlink(missing_ok=True)
    report, raw_log = execute(
        command_line(executable, str(target.machine), firmware.elf.resolve(), plugin),
        firmware=firmware,
        target=target,
        timeout_s=timeout_s,
        folder=folder,
    )
    regions = read_regions(folder / _REGIONS)
    counts = cross_check(report, regions)
    records = tuple(
        make_record(
            answer,
            ticks=answer.ticks - report.overhead_ticks,
            instructions=count,
            cycles_est=region.cycles_est if target.estimates_cycles else None,
            mix=region.mix,
        )
        for answer, region, count in zip(report.answers, regions, counts, strict=True)
    )
    return RunLog(
        records=records,
        stack_bytes=report.stack_bytes,
        raw_log=raw_log,
        profile=sum_by_function(
            folder / _PROFILE,
            read_symbols(firmware.elf, folder),
            estimates_cycles=target.estimates_cycles,
        ),
    )


def _escape(path: Path) -> str:
    return str(path).replace(",", ",,")
