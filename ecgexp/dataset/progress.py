"""Wrap an iteration to show how far it is."""

from __future__ import annotations

from collections.abc import Callable, Iterable

Track = Callable[[Iterable[str], str, int], Iterable[str]]


def silent(items: Iterable[str], description: str, total: int) -> Iterable[str]:
    """Show nothing."""
    return items


def bar(items: Iterable[str], description: str, total: int) -> Iterable[str]:
    """Show a bar that goes away when it is done."""
    from rich.progress import track

    tracked: Iterable[str] = track(items, description=description, total=total, transient=True)
    return tracked
