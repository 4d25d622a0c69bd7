"""Every command of the README runs, on a smaller job where the real one takes long."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from ecgexp.__main__ import main
from tests.integration.conftest import SMALL, Command
from tests.networks import guide_int8, windows

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
BLOCK = re.search(r"```bash\n(.*?)```", README, re.DOTALL)
COMMANDS = [line.split("  #")[0].strip() for line in BLOCK.group(1).splitlines()] if BLOCK else []
# `ui` serves until it is stopped and has a test of its own; a download needs a network.
SKIPPED = {"ecgexp ui", "ecgexp data download dataset=mitdb paths.data=DIR"}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with one small run, and an experiment folder with a preset of our own."""
    import numpy as np

    home = tmp_path_factory.mktemp("home")
    (home / "experiment").mkdir()
    (home / "experiment" / "NAME.yaml").write_text("# @package _global_\nseed: 7\n")
    np.savez(home / "vectors.npz", x=windows(4, 0))
    guide_int8(home).rename(home / "net.onnx")
    assert main(["run", *SMALL, f"paths.home={home}", "deploy=none"]) == 0
    return home


def smaller(words: list[str], home: Path) -> list[str]:
    """Put real values for placeholders and shrink what trains."""
    store = [f"paths.home={home}"]
    (run_id,) = [path.name for path in (home / "runs").iterdir()][:1]
    swaps = {
        "RUN": run_id,
        "DIR": os.environ.get("ECGEXP_DATA", str(home)),
        "net.onnx": str(home / "net.onnx"),
        "FOLDER": str(home / "library"),
        "vectors.npz": str(home / "vectors.npz"),
    }
    words = [
        f"{word.partition('=')[0]}={swaps[word.partition('=')[2]]}"
        if word.partition("=")[2] in swaps
        else word
        for word in words
    ]
    if words == ["doctor"]:
        return words
    if words[0] == "run" and "--cfg" not in words and not any("resume" in w for w in words):
        size = [word for word in SMALL if not word.startswith("architecture")]
        if "dataset=mitdb" in words:
            size.append("architecture=cnn_small")
            size = [word for word in size if not word.startswith("dataset")]
        if any(word.startswith("quantization=qat") for word in words):
            size = [word.replace("quantization.", "quantization.start.") for word in size]
            size += ["quantization.max_epochs=1", "pruning.max_epochs=1"]
        words = [word.replace("seed=1,2", "seed=1") for word in words]
        words = [*words, *size, "deploy=none"]
    return [*words, *store, "--conf", str(home)] if words[0] == "run" else [*words, *store]


@pytest.mark.parametrize("command", [c for c in COMMANDS if c not in SKIPPED])
def test_command(command: str, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = shlex.split(command)[1:]
    if "dataset=mitdb" in words and "ECGEXP_DATA" not in os.environ:
        pytest.skip("ECGEXP_DATA is not set: no MIT-BIH recordings")
    if words[0] in ("deploy", "export") and not _has_tools(words):
        pytest.skip("no arm-none-eabi-gcc or qemu-system-arm")
    assert main(smaller(words, home)) == 0, capsys.readouterr().err
    if "format=json" in words:
        json.loads(capsys.readouterr().out)


def _has_tools(words: list[str]) -> bool:
    import shutil

    needed = ["gcc"] if "target=host" in words else ["arm-none-eabi-gcc", "qemu-system-arm"]
    return all(shutil.which(tool) for tool in needed)


def test_readme_has_commands_and_make_knows_its_two() -> None:
    assert len(COMMANDS) >= 10
    for goal in ("demo", "test"):
        assert f"make {goal} " in README
        subprocess.run(["make", "-n", goal], cwd=ROOT, check=True, capture_output=True)


def test_ui_serves_the_experiment(ecgexp: Command) -> None:
    process = ecgexp.start("ui", "--no-browser", "port=5077")
    try:
        assert process.stdout is not None
        name, address = process.stdout.readline().split()
        assert name == "columns"
        assert re.match(r"http://127\.0\.0\.1:5077/#/experiments/\d+/runs\?viewState", address)
        with urllib.request.urlopen("http://127.0.0.1:5077/", timeout=30) as page:
            assert page.status == 200
    finally:
        process.terminate()
        process.communicate(timeout=60)
    assert not _answers("http://127.0.0.1:5077/")


def _answers(url: str) -> bool:
    for _ in range(20):
        try:
            urllib.request.urlopen(url, timeout=2).close()
        except OSError:
            return False
        time.sleep(0.5)
    return True


def test_python_m_is_the_console_script() -> None:
    out = subprocess.run(
        [sys.executable, "-m", "ecgexp", "--help"], check=True, capture_output=True, text=True
    )
    assert "usage: ecgexp VERB" in out.stdout
