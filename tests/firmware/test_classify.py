"""The plugin's instruction kinds and cycles against a listing sorted by hand."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from ecgexp.resources import resource_folder

LISTING = Path(__file__).parent / "instructions.s"
pytestmark = pytest.mark.device


def _need(tool: str) -> str:
    path = shutil.which(tool)
    if path is None:
        pytest.skip(f"{tool} is not on PATH")
    return path


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    firmware = resource_folder("firmware")
    binary = tmp_path_factory.mktemp("classify") / "classify"
    subprocess.run(
        [
            _need("cc"),
            "-std=c11",
            "-Wall",
            "-Wextra",
            "-Werror",
            f"-I{firmware / 'emulator'}",
            str(firmware / "tests" / "classify_listing.c"),
            str(firmware / "emulator" / "classify.c"),
            "-o",
            str(binary),
        ],
        check=True,
        timeout=60,
    )
    return binary


def _classify(classifier: Path, source: str, folder: Path) -> list[tuple[str, int]]:
    (folder / "a.s").write_text(source)
    march = "-march=armv8.1-m.main+mve.fp+fp.dp"
    subprocess.run(
        [_need("arm-none-eabi-as"), march, "-mthumb", "a.s", "-o", "a.o"],
        cwd=folder,
        check=True,
        capture_output=True,
        timeout=30,
    )
    dump = subprocess.run(
        [_need("arm-none-eabi-objdump"), "-d", "a.o"],
        cwd=folder,
        check=True,
        capture_output=True,
        text=True,
        timeout=30,
    )
    words = re.findall(r"^ +[0-9a-f]+:\s+([0-9a-f]{4})(?: ([0-9a-f]{4}))?\s", dump.stdout, re.M)
    done = subprocess.run(
        [classifier],
        input="\n".join(f"{first} {second or 0}" for first, second in words),
        check=True,
        capture_output=True,
        text=True,
        timeout=30,
    )
    return [(kind, int(cycles)) for kind, cycles in (s.split() for s in done.stdout.splitlines())]


def test_every_instruction_of_the_listing_has_its_kind(classifier: Path, tmp_path: Path) -> None:
    text = LISTING.read_text()
    expected, kind = [], ""
    for line in text.splitlines()[2:]:
        if line.startswith("@ "):
            kind = line[2:]
        elif not line.strip().startswith(".") or ".inst" in line:
            expected.append((line.strip(), kind))
    found = [kind for kind, _ in _classify(classifier, text, tmp_path)]
    wrong = [(line, want, have) for (line, want), have in zip(expected, found, strict=True)
             if want != have]  # fmt: skip
    assert not wrong


def test_cycles_follow_the_beat_model(classifier: Path, tmp_path: Path) -> None:
    source = """
    .syntax unified
    .thumb
1:  vldrb.8 q0, [r0], #16
    vmladava.s8 r2, q0, q1
    vldrb.8 q0, [r0], #16
    vldrb.8 q1, [r1], #16
    add r0, r0, r1
    vadd.i8 q0, q0, q1
    vmladava.s8 r2, q0, q1
    vmladava.s8 r4, q0, q1
    vpst
    vaddt.i8 q0, q0, q1
    le lr, 1b
"""
    cycles = [cycles for _, cycles in _classify(classifier, source, tmp_path)]
    assert cycles == [2, 1, 1, 2, 1, 2, 1, 2, 1, 2, 0]
