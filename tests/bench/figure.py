"""One measured figure and its bound."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Figure:
    name: str
    value: float | None
    unit: str
    at_least: float | None = None
    at_most: float | None = None
    note: str = ""

    @property
    def holds(self) -> bool:
        if self.value is None:
            return True
        return (self.at_least is None or self.value >= self.at_least) and (
            self.at_most is None or self.value <= self.at_most
        )

    def __str__(self) -> str:
        if self.value is None:
            return f"skipped  {self.name}: {self.note}"
        bound = f">= {self.at_least}" if self.at_least is not None else f"<= {self.at_most}"
        mark = "ok    " if self.holds else "MISSED"
        return f"{mark}  {self.name}: {self.value:.3g} {self.unit} ({bound}) {self.note}".rstrip()
