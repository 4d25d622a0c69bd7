"""Fit in a process of its own; the test looks at what it prints."""

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from conftest import run_toy_fit

with tempfile.TemporaryDirectory() as folder:
    run_toy_fit(Path(folder), max_epochs=1)
