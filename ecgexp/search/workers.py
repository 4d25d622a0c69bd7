"""Several workers of one study, started and watched by one command."""

from __future__ import annotations

import logging
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

log = logging.getLogger(__name__)

WORKER = "--worker"
_POLL_S = 0.2


def run_workers(n: int, words: Sequence[str], folders: Sequence[Path], max_deaths: int) -> None:
    """Start workers and return when all have ended; one that is killed is replaced.

    Args:
        n: Workers at a time.
        words: Overrides of the command.
        folders: Further config folders.
        max_deaths: Replacements per worker.
    """
    kept = [text for text in words if not text.startswith("search.n_workers=")]
    more = [text for folder in folders for text in ("--conf", str(folder))]
    command = [sys.executable, "-m", "ecgexp", "search", WORKER, *more, *kept]
    workers = [subprocess.Popen(command) for _ in range(n)]
    replacements = n * max_deaths
    try:
        while workers:
            time.sleep(_POLL_S)
            for worker in list(workers):
                code = worker.poll()
                if code is None:
                    continue
                workers.remove(worker)
                if code < 0 and replacements > 0:
                    replacements -= 1
                    log.warning("worker %d was killed by signal %d", worker.pid, -code)
                    workers.append(subprocess.Popen(command))
    finally:
        for worker in workers:
            worker.terminate()
        for worker in workers:
            worker.wait()
