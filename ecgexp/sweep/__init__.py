"""Run one job, or the jobs of a sweep, each at most once, with any of Hydra's launchers."""

from ecgexp.sweep.driver import run_jobs

__all__ = ["run_jobs"]
