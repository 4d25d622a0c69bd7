"""Scalograms of 10,000 beats: time and memory, in a process of their own."""

from __future__ import annotations

import subprocess
import sys

from tests.bench.figure import Figure

MAKE = """
import resource, time
import numpy as np
import scipy.ndimage  # loads first, as PyWavelets does: the figure is about images
import pywt
from ecgexp.config.build import build
from ecgexp.config.compose import compose
chain = build(compose("config", ["preprocessing=beat_scalogram"]).config["preprocessing"])
beats = np.random.default_rng(0).standard_normal((10_000, 1, 236)).astype(np.float32)
start = time.perf_counter()
images, _ = chain.stored_window(beats, 360.0)
print(time.perf_counter() - start)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20)
assert images.shape == (10_000, 1, 100, 100) and images.dtype == np.uint8
"""


def measure() -> list[Figure]:
    done = subprocess.run([sys.executable, "-c", MAKE], check=True, capture_output=True, text=True)
    seconds, gibibytes = (float(line) for line in done.stdout.split())
    name = "scalograms of 10,000 beats, 100 x 100"
    return [
        Figure(name=name, value=seconds, unit="s", at_most=8.0),
        Figure(name=f"{name}, peak memory", value=gibibytes, unit="GiB", at_most=1.8),
    ]
