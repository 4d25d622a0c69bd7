"""Run an image of the host port on this machine: right outputs and wall time, no counts."""

from __future__ import annotations

from pathlib import Path

from ecgexp.deploy.firmware import Firmware
from ecgexp.deploy.runner.execute import execute
from ecgexp.deploy.runner.records import RunLog, make_record
from ecgexp.target import Target

_US_PER_S = 1e6


def run(
    firmware: Firmware, target: Target, *, timeout_s: float, folder: Path, cache_folder: Path
) -> RunLog:
    """Run every golden window on this machine.

    Args:
        firmware: Image, a program of this machine.
        target: A target with runner `host`.
        timeout_s: Wall-clock limit in seconds.
        folder: Gets `uart.log`, the program's standard output.
        cache_folder: Not used by this runner.

    Raises:
        RunnerError: The run gave no complete report.
    """
    report, raw_log = execute(
        [str(firmware.elf.resolve())],
        firmware=firmware,
        target=target,
        timeout_s=timeout_s,
        folder=folder,
    )
    records = []
    for answer in report.answers:
        ticks = max(0, answer.ticks - report.overhead_ticks)
        elapsed_us = ticks * _US_PER_S / report.ticks_hz
        records.append(make_record(answer, ticks=ticks, elapsed_us=elapsed_us))
    return RunLog(records=tuple(records), stack_bytes=report.stack_bytes, raw_log=raw_log)
