"""The wheel carries conf and firmware, and works from any folder."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_installed_wheel_finds_its_own_resources(tmp_path: Path) -> None:
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    wheels, site = tmp_path / "wheels", tmp_path / "site"
    build = ["wheel", "--no-deps", "--no-build-isolation", "-w", str(wheels), str(ROOT)]
    subprocess.run([*pip, *build], check=True, timeout=300)
    (wheel,) = wheels.glob("*.whl")
    install = ["install", "--no-deps", "--target", str(site), str(wheel)]
    subprocess.run([*pip, *install], check=True, timeout=300)
    program = (
        "from ecgexp.resources import resource_folder as f; from ecgexp.__main__ import main;"
        "print(f('conf'), f('firmware')); main(['run', '--cfg', 'job'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(site)},
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    first, rest = done.stdout.split("\n", 1)
    assert first == f"{site / 'ecgexp/conf'} {site / 'ecgexp/firmware'}"
    assert "dataset:" in rest
    assert (site / "ecgexp/firmware/CMakeLists.txt").is_file()


def test_help_and_config_import_nothing_heavy() -> None:
    program = (
        "import sys; from ecgexp.__main__ import main\n"
        "main(['--help']); main(['run', '--cfg', 'job'])\n"
        "heavy = {'torch', 'mlflow', 'tvm', 'scipy', 'wfdb', 'onnx'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", program], check=True, stdout=subprocess.DEVNULL)
