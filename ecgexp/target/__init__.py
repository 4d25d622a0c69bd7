"""Where a network runs: core, instruction set, memory map, runner and fidelity of a target."""

from __future__ import annotations

from ecgexp.target.memory import MemoryRegion, Placement
from ecgexp.target.target import Target

__all__ = ["MemoryRegion", "Placement", "Target"]
