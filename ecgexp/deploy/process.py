"""Start a tool with a time limit, keep its output in a file, and never leave it behind."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ecgexp.interrupt import uninterrupted

_PACKAGES = {
    "arm-none-eabi-gcc": "gcc-arm-none-eabi libnewlib-arm-none-eabi",
    "arm-none-eabi-size": "binutils-arm-none-eabi",
    "arm-none-eabi-ar": "binutils-arm-none-eabi",
    "arm-none-eabi-objcopy": "binutils-arm-none-eabi",
    "arm-none-eabi-addr2line": "binutils-arm-none-eabi",
    "cmake": "cmake",
    "make": "make",
    "size": "binutils",
    "ar": "binutils",
    "objcopy": "binutils",
    "cc": "gcc libc6-dev",
    "qemu-system-arm": "qemu-system-arm",
}
# What a user has set for other builds must not change the code whose instructions are counted.
_BUILD_VARIABLES = ("CFLAGS", "CPPFLAGS", "ASMFLAGS", "LDFLAGS", "CC", "CMAKE_GENERATOR")


@dataclass(frozen=True, kw_only=True, slots=True)
class Finished:
    """How a process ended.

    Attributes:
        returncode: Exit status; negative for a signal.
        timed_out: Whether it was killed at the time limit.
    """

    returncode: int
    timed_out: bool


def install_hint(tool: str) -> str:
    """Name the command that installs a tool."""
    package = _PACKAGES.get(tool)
    return f"apt-get install {package}" if package else f"put {tool} on PATH"


def find_tool(tool: str, purpose: str, error: type[Exception]) -> str:
    """Return the path of a program.

    Args:
        tool: Name on PATH.
        purpose: What it is wanted for, for the message.
        error: Raised when it is missing.
    """
    path = shutil.which(tool)
    if path is None:
        raise error(
            f"{tool} is not on PATH, but {purpose}: {install_hint(tool)} "
            "(`ecgexp doctor` lists all tools)"
        )
    return path


def build_environment() -> dict[str, str]:
    """Return the environment for compilers: this one without flags meant for other builds."""
    return {key: value for key, value in os.environ.items() if key not in _BUILD_VARIABLES}


def run_process(
    command: Sequence[str],
    *,
    cwd: Path,
    stdout: Path,
    stderr: Path,
    timeout_s: float,
    environment: Mapping[str, str] | None = None,
) -> Finished:
    """Run a command to its end, its time limit or an interrupt; its whole group ends with it.

    Args:
        command: Program and arguments; no shell is involved.
        cwd: Working folder.
        stdout: File for standard output, appended to.
        stderr: File for standard error, appended to; may be the same file.
        timeout_s: Wall-clock limit in seconds.
        environment: Replaces the inherited environment.
    """
    process: subprocess.Popen[bytes] | None = None
    try:
        with stdout.open("ab") as out, stderr.open("ab") as err, uninterrupted():
            process = subprocess.Popen(
                command,
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                env=environment,
                start_new_session=True,
            )
        return Finished(returncode=process.wait(timeout_s), timed_out=False)
    except subprocess.TimeoutExpired:
        return Finished(returncode=-signal.SIGKILL, timed_out=True)
    finally:
        if process is not None:
            _end_group(process)


def read_tail(path: Path, n_lines: int) -> str:
    """Return the last lines of a log that say something, or an empty text."""
    if not path.is_file():
        return ""
    lines = path.read_text(encoding="utf-8", errors="backslashreplace").splitlines()
    return "\n".join([line for line in lines if line.strip()][-n_lines:])


def _end_group(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
