"""A cache folder is whole or absent: two builders, a killed one, a full disk, Ctrl-C."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ecgexp.dataset import cache
from ecgexp.errors import DataError

SLOW_BUILDER = """
import sys, time
from pathlib import Path
import numpy as np
from ecgexp.dataset import cache

def build(folder):
    print("building", flush=True)
    with cache.RowWriter(folder / "x.npy", 40) as x:
        for row in range(40):
            x.append(np.full((1, 1000), row, dtype=np.float32))
            time.sleep(float(sys.argv[2]))
    cache.save_meta(folder, {"by": sys.argv[3]})

print(cache.open_or_build(Path(sys.argv[1]), "windows", build), flush=True)
"""


def start_builder(root: Path, pause_s: float, name: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", SLOW_BUILDER, str(root), str(pause_s), name],
        stdout=subprocess.PIPE,
        text=True,
    )


def fill(folder: Path) -> None:
    with cache.RowWriter(folder / "x.npy", 3) as x:
        x.append(np.arange(6, dtype=np.float32).reshape(3, 2))
    cache.save_meta(folder, {})


def leftovers(root: Path) -> list[str]:
    return sorted(path.name for path in root.iterdir() if path.suffix != ".lock")


def test_two_processes_build_once(tmp_path: Path) -> None:
    builders = [start_builder(tmp_path, 0.01, name) for name in ("one", "two")]
    said = [builder.communicate(timeout=60)[0] for builder in builders]
    assert [builder.returncode for builder in builders] == [0, 0]
    assert "".join(said).count("building") == 1
    assert leftovers(tmp_path) == ["windows"]
    np.testing.assert_array_equal(np.load(tmp_path / "windows" / "x.npy")[:, 0], np.arange(40))


def test_what_a_killed_builder_leaves_is_cleaned_up(tmp_path: Path) -> None:
    builder = start_builder(tmp_path, 1.0, "victim")
    assert builder.stdout is not None
    builder.stdout.readline()
    builder.send_signal(signal.SIGKILL)
    builder.wait(timeout=10)
    assert leftovers(tmp_path) == [f"windows.part-{builder.pid}"]
    cache.open_or_build(tmp_path, "other", fill)
    assert leftovers(tmp_path) == ["other"]
    cache.open_or_build(tmp_path, "windows", fill)
    assert leftovers(tmp_path) == ["other", "windows"]


def test_a_builder_at_work_is_left_alone(tmp_path: Path) -> None:
    builder = start_builder(tmp_path, 0.02, "other")
    assert builder.stdout is not None
    builder.stdout.readline()
    cache.open_or_build(tmp_path, "mine", fill)
    assert builder.wait(timeout=30) == 0
    assert leftovers(tmp_path) == ["mine", "windows"]


def test_interrupt_leaves_nothing(tmp_path: Path) -> None:
    def interrupted(folder: Path) -> None:
        (folder / "x.npy").write_bytes(b"half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cache.open_or_build(tmp_path, "windows", interrupted)
    assert leftovers(tmp_path) == []


def test_wreckage_without_description_is_rebuilt(tmp_path: Path) -> None:
    (tmp_path / "windows").mkdir()
    (tmp_path / "windows" / "x.npy").write_bytes(b"half")
    folder = cache.open_or_build(tmp_path, "windows", fill)
    assert np.load(folder / "x.npy").shape == (3, 2)


def test_a_full_disk_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    """The kernel refuses writes beyond a file size, as it would on a full disk."""
    code = (
        "import resource, sys; from pathlib import Path; import numpy as np\n"
        "from ecgexp.dataset import cache\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))\n"
        "def build(folder):\n"
        "    with cache.RowWriter(folder / 'x.npy', 100) as x:\n"
        "        for row in range(100):\n"
        "            x.append(np.zeros((1, 1000), dtype=np.float32))\n"
        "    cache.save_meta(folder, {})\n"
        "try:\n"
        "    cache.open_or_build(Path(sys.argv[1]), 'windows', build)\n"
        "except cache.DataError as error:\n"
        "    sys.exit(str(error))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "cannot write the window cache" in done.stderr
    assert "x.npy: File too large; free some space, or point paths.home" in done.stderr
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize("which", ["x.npy", "record.npy", "y.npy", "meta.json"])
def test_no_space_for_any_file(
    tmp_path: Path,
    synthetic: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    which: str,
) -> None:
    opened = Path.open

    def full(path: Path, *arguments: Any, **named: Any) -> Any:
        if path.name == which and "w" in (arguments[0] if arguments else named.get("mode", "r")):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return opened(path, *arguments, **named)

    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(DataError, match=rf"{which}: No space left on device; free some space"):
        synthetic().prepare(progress=False)
    assert leftovers(tmp_path / "cache") == []
    monkeypatch.undo()
    synthetic().prepare(progress=False)


def test_no_permission(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(DataError, match=r"cannot write the window cache .*point paths\.home"):
        cache.open_or_build(tmp_path / "file", "windows", fill)


@pytest.mark.parametrize(
    ("widths", "message"),
    [([4], r"x\.npy: 1 windows of the 2 planned"), ([4, 5], r"shape \(5,\) after \(4,\)")],
)
def test_rows_missing_or_of_another_shape(tmp_path: Path, widths: list[int], message: str) -> None:
    def write() -> None:
        with cache.RowWriter(tmp_path / "x.npy", 2) as x:
            for width in widths:
                x.append(np.zeros((1, width), dtype=np.float32))

    with pytest.raises(DataError, match=message):
        write()


def test_digest_ignores_key_order_only() -> None:
    assert cache.digest({"a": 1, "b": [1, 2]}) == cache.digest({"b": [1, 2], "a": 1})
    assert cache.digest({"a": [1, 2]}) != cache.digest({"a": [2, 1]})


def test_built_cache_opens_without_building(tmp_path: Path) -> None:
    cache.open_or_build(tmp_path, "windows", fill)

    def never(folder: Path) -> None:
        raise AssertionError(folder)

    cache.open_or_build(tmp_path, "windows", never)
