"""Say why a run has no result: a crash with its place, a hang with its last line, or silence."""

from __future__ import annotations

import re
from pathlib import Path

from ecgexp.deploy.firmware import Firmware
from ecgexp.deploy.process import Finished, find_tool, read_tail, run_process
from ecgexp.deploy.runner.protocol import Fault, Report, find_fault, quote, read_report
from ecgexp.errors import RunnerError
from ecgexp.target import Target

_TIMEOUT_S = 30.0
_REMEDIES = {"stack_overflow": "raise target.stack_bytes"}


def read_or_explain(
    *,
    finished: Finished,
    firmware: Firmware,
    target: Target,
    timeout_s: float,
    raw_log: Path,
    error_log: Path,
) -> Report:
    """Read the serial log of an ended run, or raise what went wrong.

    Args:
        finished: How the runner's process ended.
        firmware: The image that ran.
        target: Where it ran.
        timeout_s: The time limit it had, in seconds.
        raw_log: What the serial line said.
        error_log: What the runner itself said on standard error.

    Raises:
        RunnerError: No complete report; the message says which failure it was.
    """
    text = raw_log.read_text(encoding="utf-8", errors="backslashreplace")
    fault = find_fault(text)
    if fault is not None:
        raise RunnerError(_describe_fault(fault, firmware, target, raw_log))
    if finished.timed_out:
        last = read_tail(raw_log, n_lines=1)
        said = f"its last line is {quote(last)}" if last else "it printed nothing"
        raise RunnerError(
            f"the firmware hangs on target {target.name}: no END within {timeout_s:g} s, {said}. "
            f"If the network is that slow, raise deploy.timeout_s. Log: {raw_log}"
        )
    try:
        return read_report(text, firmware.n_windows)
    except RunnerError as error:
        complaint = read_tail(error_log, n_lines=2).replace("\n", " | ")
        extra = f"; {target.runner} said: {complaint}" if complaint else ""
        status = f" (exit status {finished.returncode})" if finished.returncode else ""
        raise RunnerError(
            f"target {target.name}: {error}{status}{extra}. Log: {raw_log}"
        ) from error


def locate(elf: Path, address: int, folder: Path, tool: str) -> str:
    """Name the function and source line of an address.

    Args:
        elf: Image with symbols.
        address: Program counter.
        folder: For the tool's output.
        tool: An `addr2line`.

    Returns:
        `function (file:line)`, `function`, or an empty text where nothing is known.
    """
    answer = folder / "address.txt"
    answer.unlink(missing_ok=True)
    command = [
        find_tool(tool, "it names the place of a crash", RunnerError),
        "-f",
        "-e",
        str(elf.resolve()),
        hex(address),
    ]
    run_process(command, cwd=folder, stdout=answer, stderr=answer, timeout_s=_TIMEOUT_S)
    function, _, place = answer.read_text(encoding="utf-8").strip().partition("\n")
    answer.unlink()
    if function in ("", "??"):
        return ""
    known = re.sub(r" \(discriminator \d+\)$", "", place)
    return function if known.startswith("??") or known.endswith("?") else f"{function} ({known})"


def _describe_fault(fault: Fault, firmware: Firmware, target: Target, raw_log: Path) -> str:
    tool = "arm-none-eabi-addr2line"
    places = []
    for name, address in (("pc", fault.pc), ("lr", fault.lr)):
        if address:
            symbol = locate(firmware.elf, address & ~1, raw_log.parent, tool)
            places.append(f"{name} {address:#010x}" + (f" in {symbol}" if symbol else ""))
    details = ", ".join(
        f"{key} {fault.fields[key]}" for key in ("cfsr", "hfsr", "address") if key in fault.fields
    )
    remedy = _REMEDIES.get(fault.kind)
    return (
        f"the firmware crashed on target {target.name}: {fault.kind} fault"
        + (f" at {', '.join(places)}" if places else "")
        + f" ({details})"
        + (f": {remedy}" if remedy else "")
        + f". Log: {raw_log}"
    )
