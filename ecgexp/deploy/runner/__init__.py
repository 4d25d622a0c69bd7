"""Run a firmware image on QEMU, on Arm's FVP or on this machine, and read its report."""

from __future__ import annotations

from ecgexp.deploy.runner.records import FunctionCost, Record, RunLog
from ecgexp.deploy.runner.select import Runner, runner_for

__all__ = ["FunctionCost", "Record", "RunLog", "Runner", "runner_for"]
