"""Run an image on Arm's Fixed Virtual Platform FVP_Corstone_SSE-300."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

from ecgexp.deploy.firmware import Firmware
from ecgexp.deploy.runner.execute import execute
from ecgexp.deploy.runner.protocol import SHUTDOWN_TAG, Report
from ecgexp.deploy.runner.records import Record, RunLog, make_record
from ecgexp.errors import RunnerError
from ecgexp.target import Target

log = logging.getLogger(__name__)

_US_PER_S = 1e6


def command_line(executable: str, elf: Path, vector_table: int) -> list[str]:
    """Return the model's command; UART 0 goes to standard output.

    Args:
        executable: The model.
        elf: Image.
        vector_table: Secure address the core boots from.
    """
    parameters = {
        "cpu0.CFGDTCMSZ": "15",
        "cpu0.CFGITCMSZ": "15",
        "cpu0.INITSVTOR": f"{vector_table:#010x}",
        "mps3_board.sse300.iotss3_systemcontrol.INITSVTOR_RST": f"{vector_table:#010x}",
        "mps3_board.uart0.out_file": "-",
        "mps3_board.uart0.unbuffered_output": "1",
        "mps3_board.uart0.shutdown_tag": SHUTDOWN_TAG,
        "mps3_board.visualisation.disable-visualisation": "1",
        "mps3_board.telnetterminal0.start_telnet": "0",
        "mps3_board.telnetterminal1.start_telnet": "0",
        "mps3_board.telnetterminal2.start_telnet": "0",
        "mps3_board.telnetterminal5.start_telnet": "0",
    }
    options = [part for key, value in parameters.items() for part in ("-C", f"{key}={value}")]
    return [executable, *options, "-a", str(elf), "--stat"]


def find_model(target: Target) -> str:
    """Return the path of the model.

    Args:
        target: Its `executable` is a name on PATH or a file.

    Raises:
        RunnerError: There is no such program; the message says where it comes from.
    """
    path = shutil.which(str(target.executable))
    if path is None:
        subsystem = "310" if target.cpu == "cortex-m85" else "300"
        raise RunnerError(
            f"target.executable = {target.executable!r} of target {target.name} is neither on PATH "
            f"nor an executable file. The Corstone-{subsystem} Ecosystem FVP comes from Arm's "
            "website (developer.arm.com, Arm Ecosystem FVPs) under an EULA that you accept "
            "there; no package registry has it. Install it and set target.executable=/path/to/"
            f"FVP_Corstone_SSE-{subsystem}, or use target=corstone300_m55 (QEMU)"
        )
    return path


def run(
    firmware: Firmware, target: Target, *, timeout_s: float, folder: Path, cache_folder: Path
) -> RunLog:
    """Run every golden window on the model.

    Args:
        firmware: Image.
        target: A target with runner `fvp`.
        timeout_s: Wall-clock limit in seconds.
        folder: Gets `uart.log`.
        cache_folder: Not used by this runner.

    Raises:
        RunnerError: No model, or the run gave no complete report.
    """
    executable = find_model(target)
    origin = next(region.origin for region in target.regions if region.name == target.placed.code)
    report, raw_log = execute(
        command_line(executable, firmware.elf.resolve(), origin),
        firmware=firmware,
        target=target,
        timeout_s=timeout_s,
        folder=folder,
    )
    return RunLog(records=to_records(report), stack_bytes=report.stack_bytes, raw_log=raw_log)


def to_records(report: Report) -> tuple[Record, ...]:
    """Interpret the firmware's ticks as the model counts them.

    The model executes one instruction per core cycle, so that the cycle counter counts
    instructions. Without a cycle counter there is only simulated time.

    Args:
        report: What the firmware printed.
    """
    counts_cycles = report.ticks_hz == 0
    if not counts_cycles:
        log.warning("the model's cycle counter stands still: no instruction counts, only time")
    records = []
    for answer in report.answers:
        ticks = answer.ticks - report.overhead_ticks
        if counts_cycles:
            records.append(make_record(answer, ticks=ticks, instructions=ticks))
        else:
            elapsed_us = ticks * _US_PER_S / report.ticks_hz
            records.append(make_record(answer, ticks=ticks, elapsed_us=elapsed_us))
    return tuple(records)
