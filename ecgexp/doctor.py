"""Examine the machine: tools and libraries, their versions and their purpose."""

from __future__ import annotations

import importlib.metadata
import re
import shutil
import subprocess
from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """One tool or library.

    Attributes:
        name: Command or distribution name.
        version: What it says of itself; empty when it is missing.
        purpose: What ecgexp uses it for.
        without: What stops working without it, and the remedy.
        required: Whether the embedded default needs it.
    """

    name: str
    version: str
    purpose: str
    without: str
    required: bool


TOOLS = (
    ("arm-none-eabi-gcc", "links the firmware", "no deploy to Cortex-M: apt install "
     "gcc-arm-none-eabi libnewlib-arm-none-eabi", True),
    ("qemu-system-arm", "runs the firmware", "no counts on corstone300_m55: apt install "
     "qemu-system-arm", True),
    ("cmake", "builds the firmware", "no deploy: apt install cmake", True),
    ("gcc", "builds the host port and the emulator's counter", "no target=host, no cycles_est: "
     "apt install gcc", True),
    ("FVP_Corstone_SSE-300", "Arm's own model of the board", "no runner fvp; from "
     "developer.arm.com, Arm Ecosystem FVPs, under Arm's licence", False),
    ("git", "writes the commit into the run", "runs carry no commit", False),
)  # fmt: skip
LIBRARIES = (
    ("torch", "trains", "nothing trains"),
    ("pytorch-lightning", "the training loop", "nothing trains"),
    ("hydra-core", "composes configurations", "nothing starts"),
    ("omegaconf", "resolves configurations", "nothing starts"),
    ("mlflow", "keeps the runs", "nothing is tracked"),
    ("wfdb", "reads recordings", "dataset=mitdb stops"),
    ("onnx", "exchange format of networks", "no export, no deploy"),
    ("onnxruntime", "quantizes, and is the reference", "no int8, no golden outputs"),
    ("apache-tvm", "compiles networks", "deploy stops: pip install 'ecgexp[deploy]'"),
    ("scipy", "filters and resamples", "no preprocessing"),
    ("scikit-learn", "AUROC and reports", "no test metrics"),
    ("matplotlib", "draws the logged pictures", "no pictures"),
)


def examine() -> list[Finding]:
    """Return one finding per tool and library, tools first."""
    tools = [Finding(n, tool_version(n), purpose, rest, need) for n, purpose, rest, need in TOOLS]
    libraries = [
        Finding(name, library_version(name), purpose, without, True)
        for name, purpose, without in LIBRARIES
    ]
    return tools + libraries


def tool_version(name: str) -> str:
    """Return the version that a command prints, or an empty text when it is not there."""
    path = shutil.which(name)
    if path is None:
        return ""
    try:
        done = subprocess.run(
            [path, "--version"], capture_output=True, text=True, timeout=20, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    match = re.search(r"\d+\.\d+[\w.]*", done.stdout + done.stderr)
    return match.group() if match else "unknown"


def library_version(name: str) -> str:
    """Return an installed distribution's version, or an empty text."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""
