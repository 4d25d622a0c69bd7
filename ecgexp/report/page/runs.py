"""Many runs on one page: parallel coordinates, the Pareto plot, a table with links."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from ecgexp.report.page.document import document, table


@dataclass(frozen=True, kw_only=True)
class Axis:
    """One column of the table and one axis of the plots.

    Attributes:
        name: Full name of a metric or an option.
        title: What the axis is called.
        is_cost: Small is better, so that the axis points down; None where neither is.
    """

    name: str
    title: str
    is_cost: bool | None


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One run.

    Attributes:
        run_id: MLflow's id.
        name: The run's name.
        link: Address of its page; empty for none.
        pareto: Whether it is on the front.
        values: One per axis; None where the run has none.
    """

    run_id: str
    name: str
    link: str
    pareto: bool
    values: tuple[float | str | None, ...]


def write_runs_page(
    path: Path,
    *,
    title: str,
    note: str,
    axes: Sequence[Axis],
    entries: Sequence[Entry],
    shown: tuple[str, str],
) -> Path:
    """Write the page.

    Args:
        path: HTML file to write.
        title: Heading.
        note: A sentence below it, plain text.
        axes: What is known of every run.
        entries: The runs, in the table's order.
        shown: Names of the axes that the Pareto plot begins with, across and up.
    """
    names = [axis.name for axis in axes]
    data = {
        "axes": [asdict(axis) for axis in axes],
        "runs": [asdict(entry) for entry in entries],
        "shown": [names.index(name) if name in names else 0 for name in shown],
    }
    body = "\n".join(
        [
            f"<p>{html.escape(note)}</p>",
            "<h2>Parallel coordinates</h2>",
            "<p>A line is a run, blue on the Pareto front; on every axis of quality or cost up is "
            "better. Drag along an axis to keep a range, click it to let go.</p>",
            '<div id="parallel"></div>',
            "<h2>Pareto plot</h2>",
            '<p>Across <select id="across"></select> up <select id="up"></select>: '
            "the line joins what nothing beats in these two.</p>",
            '<div id="front"></div>',
            "<h2>Runs</h2>",
            _table(axes, entries),
            "<noscript><p>The plots need JavaScript; the table does not.</p></noscript>",
        ]
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(document(title, body, data=data, scripts=("runs.js",)), encoding="utf-8")
    return path


def _table(axes: Sequence[Axis], entries: Sequence[Entry]) -> str:
    rows = []
    for entry in entries:
        name = html.escape(entry.name)
        if entry.link:
            name = f'<a href="{html.escape(entry.link)}">{name}</a>'
        cells = [readable(value, axis.name) for value, axis in zip(entry.values, axes, strict=True)]
        mark = "*" if entry.pareto else ""
        shown = f"{name}<br><code>{html.escape(entry.run_id)}</code>"
        rows.append([mark, shown, *map(html.escape, cells)])
    heads = ["", "run", *(axis.title for axis in axes)]
    return table(heads, rows, identifier="runs", caption="* on the Pareto front")


def readable(value: float | str | None, name: str = "") -> str:
    """Return a figure as text: bytes in KiB, counts whole, shares short."""
    if value is None or value != value:
        return "–"
    if isinstance(value, str):
        return value
    if name.endswith("bytes"):
        return f"{value / 1024:.1f} KiB"
    if abs(value) >= 10 and value == int(value):
        return f"{value:,.0f}"
    return f"{value:.4g}"
