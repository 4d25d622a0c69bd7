"""Say which source a run came from."""

from __future__ import annotations

import subprocess

from ecgexp.resources import resource_folder
from ecgexp.tracking.names import GIT_DIRTY_TAG, GIT_SHA_TAG


def git_tags() -> dict[str, str]:
    """Return the checkout's commit and whether it has changes; empty outside a checkout."""
    sha = _git("rev-parse", "HEAD")
    if sha is None:
        return {}
    return {GIT_SHA_TAG: sha, GIT_DIRTY_TAG: str(bool(_git("status", "--porcelain"))).lower()}


def _git(*arguments: str) -> str | None:
    folder = resource_folder("conf").parent
    if not (folder / ".git").exists():
        return None
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
