"""protocol.c on this machine: its own checks, and a round trip through the Python reader."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from ecgexp.deploy.runner.protocol import parse_line
from ecgexp.resources import resource_folder

TEXTS = ("AF", "two words", "", 'quote " and \\', "Vorhofflimmern ä", "a=b", "心房細動", "\t\n\x7f")


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no host C compiler (cc) on PATH")
    firmware = resource_folder("firmware")
    binary = tmp_path_factory.mktemp("protocol") / "protocol_test"
    subprocess.run(
        [
            compiler,
            "-std=c11",
            "-Wall",
            "-Wextra",
            "-Werror",
            "-fsanitize=undefined,address",
            f"-I{firmware / 'include'}",
            str(firmware / "tests" / "protocol_test.c"),
            str(firmware / "src" / "protocol.c"),
            "-o",
            str(binary),
        ],
        check=True,
        timeout=60,
    )
    return binary


def test_records_have_the_documented_spelling(program: Path) -> None:
    done = subprocess.run([program], capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 0, done.stderr


def test_python_reads_back_every_text(program: Path) -> None:
    done = subprocess.run([program, *TEXTS], capture_output=True, timeout=20, check=True)
    lines = done.stdout.decode("ascii").splitlines()
    assert [parse_line(line).fields["label"] for line in lines] == list(TEXTS)
    assert [parse_line(line).number("index") for line in lines] == list(range(len(TEXTS)))
