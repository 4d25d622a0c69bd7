"""ONNX to finished emulator report for the guide model, in a process of its own."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.bench.figure import Figure
from tests.networks import guide_int8


def measure() -> list[Figure]:
    name = "guide model int8, ONNX to emulator report"
    if shutil.which("qemu-system-arm") is None or shutil.which("arm-none-eabi-gcc") is None:
        return [Figure(name=name, value=None, unit="", note="no emulator or no compiler")]
    with tempfile.TemporaryDirectory() as folder:
        onnx = guide_int8(Path(folder))
        words = ["deploy", f"onnx={onnx}", f"paths.home={folder}", "format=json", "--quiet"]
        start = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-m", "ecgexp", *words], check=True, capture_output=True, text=True
        )
        seconds = time.perf_counter() - start
    metrics = json.loads(done.stdout)["metrics"]
    instructions = metrics["deploy/corstone300_m55/instructions"]
    equal = metrics["deploy/corstone300_m55/golden_equal"]
    note = f"{instructions:,.0f} instructions, golden_equal {equal}"
    return [Figure(name=name, value=seconds, unit="s", at_most=60.0, note=note)]
