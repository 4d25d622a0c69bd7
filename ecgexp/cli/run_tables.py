"""Tables of several runs: `ecgexp select` and `ecgexp compare`."""

from __future__ import annotations

import csv
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.table import Table

from ecgexp.cli.tables import number, show_json, wide_console
from ecgexp.selection.choose import Row, column_names
from ecgexp.selection.figures import figure
from ecgexp.selection.links import in_mlflow, run_url
from ecgexp.tracking import names

if TYPE_CHECKING:
    from ecgexp.selection.promotion import Promoted
    from ecgexp.tracking.found import Found


def show_selection(
    rows: Sequence[Row], config: dict[str, Any], link: str, experiment_id: str | None
) -> None:
    """Print the selected runs with the Pareto front marked."""
    columns = column_names(config)
    if config["format"] == "json":
        runs = [
            {
                "run_id": row.run.run_id,
                "name": row.run.name,
                "pareto": row.pareto,
                "deployable": row.run.tags.get(names.DEPLOYABLE_TAG),
                "columns": {given: figure(row.run, name) for name, given in columns.items()},
                "metrics": row.run.metrics,
                "link": run_url(config, experiment_id or "", row.run.run_id),
            }
            for row in rows
        ]
        show_json({"runs": runs, "link": link})
    elif config["format"] == "csv":
        _write_csv(rows, columns)
    else:
        _print(rows, columns, f"In {in_mlflow(config)}: {link}")


def _write_csv(rows: Sequence[Row], columns: dict[str, str]) -> None:
    """Write full precision and full names, for a spreadsheet or pandas."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(["run_id", "name", "pareto", *columns])
    for row in rows:
        figures = [figure(row.run, name) for name in columns]
        plain = ["" if value is None else value for value in figures]
        writer.writerow([row.run.run_id, row.run.name, int(row.pareto), *plain])


def _print(rows: Sequence[Row], columns: dict[str, str], last: str) -> None:
    table = Table(title=f"{len(rows)} runs; * on the Pareto front", title_justify="left")
    table.add_column("")
    table.add_column("run", overflow="fold")
    for name, given in columns.items():
        numeric = any(isinstance(figure(row.run, name), float) for row in rows)
        table.add_column(given, overflow="fold", justify="right" if numeric else "left")
    for row in rows:
        figures = [formatted(row.run, name) for name in columns]
        table.add_row("*" if row.pareto else "", f"{row.run.name}\n{row.run.run_id}", *figures)
    console = wide_console()
    console.print(table)
    console.print(last, soft_wrap=True, markup=False)


def formatted(run: Found, name: str) -> str:
    """Return what a run has under a name as a table shows it."""
    value = figure(run, name)
    return value if isinstance(value, str) else number(value, name)


def show_promotion(promoted: Promoted, config: dict[str, Any]) -> None:
    """Print where the model is now and how it is loaded."""
    if config["format"] == "json":
        show_json({**asdict(promoted), "uri": promoted.uri})
        return
    console = wide_console()
    title = f"{promoted.name} version {promoted.version}, alias {promoted.alias}"
    table = Table(title=title, title_justify="left", show_header=False)
    table.add_column()
    table.add_column(overflow="fold")
    for key, value in sorted(promoted.tags.items()):
        table.add_row(key, value)
    console.print(table)
    console.print(f"It is {promoted.uri} in {promoted.store_uri}", soft_wrap=True, markup=False)
