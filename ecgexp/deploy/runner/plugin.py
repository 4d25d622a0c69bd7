"""Compile QEMU's counting plugin once and keep it in a cache folder."""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import tempfile
from pathlib import Path

from ecgexp.deploy.process import build_environment, read_tail, run_process
from ecgexp.errors import BuildError
from ecgexp.resources import resource_folder

_SOURCES = ("count.c", "classify.c")
_HEADERS = ("classify.h", "qemu_plugin_api.h")
_FLAGS = ("-std=c11", "-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC")
_COMPILERS = ("gcc", "cc", "clang")
_TIMEOUT_S = 120.0


def build_plugin(cache_folder: Path) -> Path:
    """Return the plugin as a shared library, compiled unless the cache has it.

    Args:
        cache_folder: Kept between runs; the file name contains a hash of what made it.

    Raises:
        BuildError: There is no host compiler, or it fails.
    """
    source = resource_folder("firmware") / "emulator"
    library = cache_folder.resolve() / f"qemu_count-{_digest(source)}.so"
    if library.is_file():
        return library
    compiler = find_compiler()
    library.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=library.parent) as scratch:
        built = Path(scratch) / library.name
        log = Path(scratch) / "log"
        sources = [str(source / name) for name in _SOURCES]
        finished = run_process(
            [compiler, *_FLAGS, *sources, "-o", str(built)],
            cwd=Path(scratch),
            stdout=log,
            stderr=log,
            timeout_s=_TIMEOUT_S,
            environment=build_environment(),
        )
        if finished.returncode != 0:
            raise BuildError(
                f"{compiler} cannot compile QEMU's counting plugin ({source}): "
                f"{read_tail(log, n_lines=5)}"
            )
        os.replace(built, library)
    return library


def find_compiler() -> str:
    """Return the path of a host compiler.

    Raises:
        BuildError: There is none.
    """
    compiler = next((path for name in _COMPILERS if (path := shutil.which(name))), None)
    if compiler is None:
        raise BuildError(
            f"none of {', '.join(_COMPILERS)} is on PATH, but the plugin that counts instructions "
            "in QEMU is compiled on this machine: apt-get install gcc libc6-dev"
        )
    return compiler


def _digest(source: Path) -> str:
    digest = hashlib.sha256(f"{platform.machine()} {_FLAGS}".encode())
    for name in (*_SOURCES, *_HEADERS):
        digest.update((source / name).read_bytes())
    return digest.hexdigest()[:16]
