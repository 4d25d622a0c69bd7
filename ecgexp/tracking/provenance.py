"""Say which source a run came from."""

from __future__ import annotations

import logging
import subprocess
from pathlib import Path

from ecgexp.resources import resource_folder
from ecgexp.tracking.names import GIT_DIRTY_TAG, GIT_SHA_TAG

log = logging.getLogger(__name__)


def git_tags() -> dict[str, str]:
    """Return the checkout's commit and whether it has changes.

    Empty, with a line in the log that says why, where ecgexp runs from no checkout or git fails.
    """
    folder = resource_folder("conf").parent
    if not (folder / ".git").exists():
        log.info("no commit is recorded: %s is no git checkout", folder)
        return {}
    try:
        sha, changes = _git(folder, "rev-parse", "HEAD"), _git(folder, "status", "--porcelain")
    except (OSError, subprocess.SubprocessError) as error:
        said = getattr(error, "stderr", None) or error
        log.warning("no commit is recorded: git in %s: %s", folder, str(said).strip())
        return {}
    return {GIT_SHA_TAG: sha, GIT_DIRTY_TAG: str(bool(changes)).lower()}


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(folder), *arguments],
        capture_output=True,
        text=True,
        timeout=60,  # seconds; git waits long for a disk that trainings keep busy
        check=True,
    )
    return done.stdout.strip()
