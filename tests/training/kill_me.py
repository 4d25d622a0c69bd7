"""Fit for a while in a process of its own; the test kills it."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from conftest import run_toy_fit

run_toy_fit(Path(sys.argv[1]), max_epochs=40, patience_epochs=99)
