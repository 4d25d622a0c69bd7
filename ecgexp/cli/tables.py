"""Closing tables of the verbs, or the same as JSON with `format=json`."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from ecgexp.tracking import names

if TYPE_CHECKING:
    from ecgexp.deploy.export.exporter import Exported
    from ecgexp.pipeline import Outcome
    from ecgexp.sync import Synced
    from ecgexp.types import DeployReport

DEVICE_COLUMNS = ("instructions", "cycles_est", "flash_bytes", "ram_bytes", "golden_equal")
_RUN_ID_LETTERS = 32


def show_json(value: Any) -> None:
    """Print one JSON document; figures that are not numbers become null."""
    text = json.dumps(_finite(value), indent=2, sort_keys=True)
    sys.stdout.write(text + "\n")


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    if isinstance(value, float) and (value != value or value in (float("inf"), -float("inf"))):
        return None
    return value


def number(value: float | None, name: str = "") -> str:
    """Format a figure the way its name asks for: bytes in KiB, counts whole, shares short."""
    if value is None:
        return "–"
    if name.endswith("bytes"):
        return f"{value / 1024:.1f} KiB"
    if not math.isfinite(value):
        return str(value)
    return f"{value:,.0f}" if value == int(value) and abs(value) >= 10 else f"{value:.4g}"


def show_outcomes(outcomes: Sequence[Outcome], config: dict[str, Any]) -> None:
    """Print accuracy, device figures, reasons of failures, and where to look next."""
    if config["format"] == "json":
        jobs = [_outcome_json(outcome) for outcome in outcomes]
        show_json(jobs[0] if len(jobs) == 1 else jobs)
        return
    console = wide_console()
    target = str(config["target"]["name"])
    console.print(_one(outcomes[0], target) if len(outcomes) == 1 else _many(outcomes, target))
    for outcome in outcomes:
        if outcome.error:
            console.print(f"{outcome.status} {outcome.name}: {outcome.error}", markup=False)
    console.print("Instructions are exact on the emulator; cycles_est is an estimate from the")
    console.print("instruction mix, not silicon time.")
    console.print(f"Open it in MLflow: ecgexp ui {store_words(config)}", soft_wrap=True)


def store_words(config: dict[str, Any]) -> str:
    """Return the command-line words that name a configuration's home folder and store."""
    server, home = config["tracking"].get("uri"), f"paths.home={config['paths']['home']}"
    return f"{home} tracking=server tracking.uri={server}" if server else home


def _figures(outcome: Outcome, target: str) -> list[tuple[str, str]]:
    """Return the closing table's names and formatted values of one run."""
    metrics = outcome.metrics
    figures = [
        ("test F1 (macro)", number(metrics.get(names.TEST_F1))),
        ("test accuracy", number(metrics.get(names.TEST_ACCURACY))),
        ("int8 accuracy", number(metrics.get(names.INT8_ACCURACY))),
        ("model bytes", number(metrics.get(names.MODEL_BYTES), names.MODEL_BYTES)),
    ]
    for column in DEVICE_COLUMNS:
        value = metrics.get(names.deploy_metric(target, column))
        figures.append((column.removesuffix("_bytes"), number(value, column)))
    return [*figures, ("deployable", outcome.tags.get(names.DEPLOYABLE_TAG, "–"))]


def _one(outcome: Outcome, target: str) -> Table:
    title = f"{outcome.name} on {target}: {outcome.status}"
    table = Table(title=title, title_justify="left", show_header=False)
    table.add_column()
    table.add_column(justify="right")
    for name, value in [*_figures(outcome, target), ("run", outcome.run_id)]:
        table.add_row(name, value)
    return table


def _many(outcomes: Sequence[Outcome], target: str) -> Table:
    table = Table(title=f"{len(outcomes)} runs on {target}", title_justify="left")
    table.add_column("run", overflow="fold", min_width=_RUN_ID_LETTERS)
    table.add_column("status")
    for name, _ in _figures(outcomes[0], target):
        table.add_column(name, justify="right")
    for outcome in outcomes:
        values = [value for _, value in _figures(outcome, target)]
        status = f"{outcome.status}\n{outcome.how}" if outcome.how else outcome.status
        table.add_row(f"{outcome.name}\n{outcome.run_id}", status, *values)
    return table


def wide_console() -> Console:
    """Return a console as wide as the terminal, or wide enough for a table in a file."""
    console = Console()
    return console if console.is_terminal else Console(width=160)


def _outcome_json(outcome: Outcome) -> dict[str, Any]:
    return {
        "run_id": outcome.run_id,
        "name": outcome.name,
        "status": outcome.status,
        "how": outcome.how,
        "error": outcome.error,
        "metrics": outcome.metrics,
        "deployable": outcome.tags.get(names.DEPLOYABLE_TAG),
    }


def show_synced(answers: Sequence[Synced]) -> None:
    """Print what was sent of each run, and what still waits and why."""
    if not answers:
        sys.stdout.write("Nothing waits to be sent.\n")
        return
    table = Table(title=f"{len(answers)} runs", title_justify="left")
    for name in ("run", "server", "sent", "still here"):
        table.add_column(name, overflow="fold")
    for answer in answers:
        sent, left = (
            ", ".join(f"{n} {what}" for what, n in counted.items()) or "nothing"
            for counted in (answer.sent, answer.left)
        )
        table.add_row(answer.run_id, answer.server, sent, left)
    console = wide_console()
    console.print(table)
    for error in dict.fromkeys(answer.error for answer in answers if answer.error):
        console.print(error, markup=False, soft_wrap=True)


def show_deploy(report: DeployReport, run_id: str, config: dict[str, Any]) -> None:
    """Print the figures of one deployment."""
    metrics = {names.deploy_metric(report.target, key): v for key, v in report.metrics.items()}
    if config["format"] == "json":
        reasons = list(report.limit_violations)
        show_json(
            {
                "run_id": run_id,
                "deployable": report.deployable,
                "reasons": reasons,
                "fidelity": report.fidelity,
                "metrics": metrics,
                "artefacts": [str(path) for path in report.artefacts],
            }
        )
        return
    table = Table(title=f"{report.target} ({report.fidelity})", title_justify="left")
    table.add_column("figure")
    table.add_column("median per inference", justify="right")
    for key, value in sorted(metrics.items()):
        table.add_row(key, number(value, key))
    console = wide_console()
    console.print(table)
    for reason in report.limit_violations:
        console.print(f"not deployable: {reason}", markup=False)
    if run_id:
        console.print(f"added to run {run_id}")
    else:
        for path in report.artefacts:
            console.print(str(path), markup=False, soft_wrap=True)


def show_export(exported: Exported, config: dict[str, Any]) -> None:
    """Print sizes and places of an exported library."""
    if config["format"] == "json":
        show_json(
            {
                "folder": str(exported.folder),
                "archive": str(exported.archive),
                "archive_sha256": exported.archive_sha256,
                "compiled_for": exported.compiled_for,
                "n_golden": exported.n_golden,
                "figures": exported.figures,
            }
        )
        return
    title = f"exported for {exported.compiled_for}"
    table = Table(title=title, title_justify="left", show_header=False)
    table.add_column()
    table.add_column(justify="right")
    for key, value in exported.figures.items():
        table.add_row(key, number(value, key))
    console = wide_console()
    console.print(table)
    for path in (exported.folder, exported.archive):
        console.print(str(path), markup=False, soft_wrap=True)


def show_summary(summary: dict[str, Any], config: dict[str, Any]) -> None:
    """Print records, patients and windows per class of each split."""
    if config["format"] == "json":
        show_json(summary)
        return
    leads = ", ".join(summary["leads"])
    what = f"{summary['n_samples']} samples at {summary['fs_hz']:g} Hz"
    if summary["n_rows"]:
        what = f"images of {summary['n_rows']} rows and {what.replace('samples', 'columns')}"
    title = f"{summary['name']}: {leads}, {what}"
    table = Table(title=title, title_justify="left")
    for column in ("split", "records", "patients", "windows", *summary["labels"]):
        table.add_column(column, justify="left" if column == "split" else "right")
    for name, split in summary["splits"].items():
        figures = (len(split["records"]), len(split["patients"]), split["windows"])
        counts = split["classes"].values()
        table.add_row(name, *[f"{figure:,}" for figure in (*figures, *counts)])
    console = wide_console()
    console.print(table)
    if summary["features"]:
        listed = ", ".join(summary["features"])
        console.print(f"samples of {summary['leads'][-1]}: {listed}", markup=False)
    if summary["several"]:
        console.print("a window can be of several classes, or of none")
    if summary["caveat"]:
        console.print(f"caveat: {summary['caveat']}", markup=False)
    console.print(f"example windows: {summary['picture']}", markup=False, soft_wrap=True)
    if summary["augmentation"]:
        console.print(f"augmentation: {summary['augmentation']}", markup=False, soft_wrap=True)
