"""Start-up of the command line against a bare interpreter, alternating."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

from tests.bench.figure import Figure

REPEATS = 7


def seconds(words: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def measure() -> list[Figure]:
    bare = [sys.executable, "-c", "pass"]
    figures = []
    for words in (["--help"], ["run", "--help"], ["run", "--cfg", "job"]):
        pairs = [
            (seconds([sys.executable, "-m", "ecgexp", *words]), seconds(bare))
            for _ in range(REPEATS)
        ]
        extra = statistics.median(ours - theirs for ours, theirs in pairs)
        bound = 1.0 if "--help" in words else 2.0
        name = f"ecgexp {' '.join(words)} over python -c pass"
        figures.append(Figure(name=name, value=extra, unit="s", at_most=bound))
    return figures
