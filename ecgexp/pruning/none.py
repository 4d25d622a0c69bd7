"""The option that keeps every channel."""

from __future__ import annotations


class NoPruning:
    """Keep every channel; the stage does nothing."""
