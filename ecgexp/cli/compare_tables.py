"""Tables of `ecgexp compare`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from ecgexp.cli.tables import show_json, wide_console
from ecgexp.selection.compare_page import change_in_words, letter, shown
from ecgexp.selection.comparison import Comparison, Matrix, Side, as_json

_COLOURS = {"better": "green", "worse": "red", "same": "dim", "": ""}


def show_comparison(comparison: Comparison, files: Sequence[Path], config: dict[str, Any]) -> None:
    """Print a comparison and where its page is."""
    if config["format"] == "json":
        show_json({**as_json(comparison), "files": [str(path) for path in files]})
        return
    console = wide_console()
    for position, run in enumerate(comparison.runs):
        console.print(f"{letter(position)}: {run.name} {run.run_id}", markup=False)
    heads = [letter(position) for position in range(len(comparison.runs))]
    console.print(_table("configuration, where it differs", comparison.options, heads))
    console.print(_table("figures, with differences to A", comparison.figures, heads))
    if comparison.layers:
        title = f"instructions per layer on {comparison.device}"
        console.print(_table(title, comparison.layers, heads))
    for matrix in comparison.matrices:
        console.print(_matrix(matrix))
    for text in comparison.missing:
        console.print(text, markup=False, soft_wrap=True)
    for path in files:
        console.print(str(path), markup=False, soft_wrap=True)


def _table(title: str, sides: Sequence[Side], heads: Sequence[str]) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column("", overflow="fold")
    for head in heads:
        table.add_column(head, justify="right", overflow="fold")
    for side in sides:
        cells = []
        for position in range(len(heads)):
            cell = Text(shown(side, position))
            change = change_in_words(side, position)
            if change:
                cell.append(f"  {change}", style=_COLOURS[side.verdict(position)])
            cells.append(cell)
        table.add_row(Text(side.name), *cells)
    return table


def _matrix(matrix: Matrix) -> Table:
    title = f"{letter(matrix.run)}, {matrix.network}: test windows, true class by predicted class"
    table = Table(title=title, title_justify="left")
    table.add_column("")
    for label in matrix.labels:
        table.add_column(label, justify="right")
    for label, row in zip(matrix.labels, matrix.counts, strict=True):
        table.add_row(label, *(f"{count:,}" if count else "·" for count in row))
    return table
