"""Headless Chromium: what a page shows once its scripts have run."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
needs_browser = pytest.mark.skipif(
    CHROMIUM is None, reason="no chromium, chromium-browser or google-chrome on this machine"
)


def _open(address: str, profile: Path, *words: str, size: str, patience_ms: int) -> str:
    assert CHROMIUM is not None
    done = subprocess.run(
        [
            CHROMIUM, "--headless", "--disable-gpu", "--disable-dev-shm-usage",
            *(["--no-sandbox"] if os.geteuid() == 0 else []),
            "--no-first-run", "--disable-background-networking",
            f"--user-data-dir={profile}", f"--window-size={size}",
            f"--virtual-time-budget={patience_ms}", *words, address,
        ],
        capture_output=True,
        text=True,
        timeout=180,
        check=True,
    )  # fmt: skip
    return done.stdout


def dom(address: str, profile: Path, *, size: str = "1600,1200", patience_ms: int = 5000) -> str:
    """Return the page's elements after its scripts have run.

    Args:
        address: File or HTTP address.
        profile: Folder for the browser's own files.
        size: Width and height of the window in pixels.
        patience_ms: Time that the page believes to have.
    """
    return _open(address, profile, "--dump-dom", size=size, patience_ms=patience_ms)


def picture(
    address: str, profile: Path, into: Path, *, size: str = "1600,1200", patience_ms: int = 5000
) -> Path:
    """Write what the window shows as PNG."""
    _open(address, profile, f"--screenshot={into}", size=size, patience_ms=patience_ms)
    return into


def texts(elements: str) -> list[str]:
    """Return what a person reads in a page, text by text, without styles and scripts."""
    visible = re.sub(r"<(style|script)\b.*?</\1>", "", elements, flags=re.DOTALL)
    return [text.strip() for text in re.findall(r">([^<>]+)<", visible) if text.strip()]
