"""Compile a network for a target, build its firmware, run it and report what it cost."""
