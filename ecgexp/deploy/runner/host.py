"""Run an image of the host port on this machine: right outputs and wall time, no counts."""

from __future__ import annotations

from pathlib import Path

from ecgexp.deploy.firmware import Firmware
from ecgexp.deploy.process import run_process
from ecgexp.deploy.runner.failure import finish
from ecgexp.deploy.runner.records import Record, RunLog
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
    folder.mkdir(parents=True, exist_ok=True)
    raw_log, error_log = folder / "uart.log", folder / "host.log"
    for stale in (raw_log, error_log):
        stale.unlink(missing_ok=True)
    finished = run_process(
        [str(firmware.elf.resolve())],
        cwd=folder,
        stdout=raw_log,
        stderr=error_log,
        timeout_s=timeout_s,
    )
    report = finish(
        finished=finished,
        firmware=firmware,
        target=target,
        timeout_s=timeout_s,
        raw_log=raw_log,
        error_log=error_log,
    )
    records = tuple(
        Record(
            index=answer.index,
            label=answer.label,
            class_index=answer.class_index,
            confidence=answer.confidence,
            outputs=answer.outputs,
            ticks=max(0, answer.ticks - report.overhead_ticks),
            instructions=None,
            cycles_est=None,
            elapsed_us=max(0, answer.ticks - report.overhead_ticks) * _US_PER_S / report.ticks_hz,
        )
        for answer in report.answers
    )
    return RunLog(records=records, stack_bytes=report.stack_bytes, raw_log=raw_log)
