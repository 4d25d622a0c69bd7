"""Run a command that runs the firmware, and read the report it leaves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ecgexp.deploy.firmware import Firmware
from ecgexp.deploy.process import run_process
from ecgexp.deploy.runner.failure import read_or_explain
from ecgexp.deploy.runner.protocol import Report
from ecgexp.target import Target


def execute(
    command: Sequence[str], *, firmware: Firmware, target: Target, timeout_s: float, folder: Path
) -> tuple[Report, Path]:
    """Run a command whose standard output is the device's serial line.

    Args:
        command: Program and arguments; it runs in `folder`.
        firmware: The image that it runs.
        target: Where it runs.
        timeout_s: Wall-clock limit in seconds.
        folder: Gets `uart.log` and `<runner>.log`, what the runner says on standard error.

    Returns:
        The report and the serial log.

    Raises:
        RunnerError: No complete report; the message says why.
    """
    folder.mkdir(parents=True, exist_ok=True)
    raw_log, error_log = folder / "uart.log", folder / f"{target.runner}.log"
    for stale in (raw_log, error_log):
        stale.unlink(missing_ok=True)
    finished = run_process(
        command, cwd=folder, stdout=raw_log, stderr=error_log, timeout_s=timeout_s
    )
    report = read_or_explain(
        finished=finished,
        firmware=firmware,
        target=target,
        timeout_s=timeout_s,
        raw_log=raw_log,
        error_log=error_log,
    )
    return report, raw_log
