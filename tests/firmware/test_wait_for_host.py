"""The option for real serial lines: nothing is printed before the host has sent a character."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from ecgexp.deploy.runner.protocol import read_report
from ecgexp.resources import resource_folder

pytestmark = pytest.mark.device


def test_the_first_record_follows_the_first_character(tmp_path: Path) -> None:
    missing = [tool for tool in ("cmake", "make", "cc") if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"not on PATH: {', '.join(missing)}")
    firmware = resource_folder("firmware")
    (tmp_path / "golden.bin").write_bytes(bytes(32))
    configure = [
        *("cmake", "-S", str(firmware), "-B", str(tmp_path), "-DECGEXP_PORT=host"),
        f"-DCMAKE_TOOLCHAIN_FILE={firmware / 'cmake' / 'host.cmake'}",
        f"-DECGEXP_MODEL={Path(__file__).parent / 'standin_int8'}",
        *("-DECGEXP_WINDOWS=1", "-DECGEXP_WAIT_FOR_HOST=ON"),
    ]
    for command in (configure, ["cmake", "--build", str(tmp_path)]):
        subprocess.run(command, check=True, capture_output=True, timeout=60)
    program = tmp_path / "ecgexp_firmware"
    with subprocess.Popen(
        [program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=0.3)
        output, _ = process.communicate("x", timeout=10)
    assert len(read_report(output, n_windows=1).answers) == 1
