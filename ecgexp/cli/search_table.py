"""Closing table of `ecgexp search`, or the same as JSON with `format=json`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.table import Table

from ecgexp.cli.tables import number, show_json, show_outcomes, store_words, wide_console

if TYPE_CHECKING:
    from ecgexp.search.result import Result


def show_result(result: Result, config: dict[str, Any]) -> None:
    """Print the front, the failures with their reasons, and how to confirm the best trial."""
    if config["format"] == "json":
        show_json(_json(result))
        return
    console = wide_console()
    states = ", ".join(f"{n} {state}" for state, n in sorted(result.states.items()))
    title = f"study {result.study}: {states} of {result.n_trials}"
    if result.n_infeasible:
        title += f"; {result.n_infeasible} beyond a limit"
    table = Table(title=title, title_justify="left")
    table.add_column("trial", justify="right")
    for name in result.objectives:
        table.add_column(name, justify="right", overflow="fold")
    table.add_column("chosen", overflow="fold")
    table.add_column("run", overflow="fold")
    for found in result.front:
        pairs = zip(found.values, result.objectives, strict=True)
        chosen = ", ".join(f"{key} {_short(value)}" for key, value in found.params.items())
        values = [number(value, name) for value, name in pairs]
        table.add_row(str(found.number), *values, chosen, found.run_id)
    console.print(table)
    for trial, reason in result.failures:
        console.print(f"FAIL trial {trial}: {reason}", markup=False)
    if result.confirmed:
        show_outcomes([result.confirmed], config)
    elif result.front:
        console.print("No trial has seen the test split. Confirm one, once:")
        best = result.front[0].run_id
        console.print(f"  ecgexp run resume={best} {store_words(config)}", soft_wrap=True)
    if result.page:
        console.print(f"pictures and interactive page: {result.page}", soft_wrap=True)


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _json(result: Result) -> dict[str, Any]:
    confirmed = result.confirmed
    return {
        "study": result.study,
        "n_trials": result.n_trials,
        "states": result.states,
        "infeasible": result.n_infeasible,
        "objectives": result.objectives,
        "front": [
            {
                "trial": found.number,
                "run_id": found.run_id,
                "values": dict(zip(result.objectives, found.values, strict=True)),
                "params": found.params,
            }
            for found in result.front
        ],
        "failures": [{"trial": trial, "reason": reason} for trial, reason in result.failures],
        "run_id": result.parent_run_id,
        "page": str(result.page) if result.page else None,
        "confirmed": confirmed and {"run_id": confirmed.run_id, "metrics": confirmed.metrics},
    }
