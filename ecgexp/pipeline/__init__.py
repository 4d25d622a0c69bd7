"""The ordered stages of an experiment; the only package that knows all parts."""

from ecgexp.pipeline.deploy import deploy_bundle
from ecgexp.pipeline.effects import draw_effects
from ecgexp.pipeline.job import Outcome, outcome, run, run_name
from ecgexp.pipeline.parts import build_data, home_folder, open_store

__all__ = [
    "Outcome",
    "build_data",
    "deploy_bundle",
    "draw_effects",
    "home_folder",
    "open_store",
    "outcome",
    "run",
    "run_name",
]
