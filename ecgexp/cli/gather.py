"""`ecgexp gather`: folds or seeds as one figure."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from ecgexp.cli.options import condition_and_overrides, parser
from ecgexp.config.compose import compose

if TYPE_CHECKING:
    from ecgexp.gather import Gathered

TEXT = """Pool the test predictions of runs that are folds of each other, average over seeds, and
give every figure its 95 % interval. The condition is that of `ecgexp select`.

  ecgexp run -m experiment=heartkit_rhythm_cinc2017 dataset.fold=0,1,2,3,4
  ecgexp gather "sweep = ID"                             # the id that the sweep prints
  ecgexp gather "sweep = ID" predictions=test_quantized  # what the device computes
  ecgexp gather "sweep = ID" without_records=[232]"""


def main(argv: list[str]) -> int:
    """Gather and print the table."""
    made = parser("gather", TEXT, groups=False)
    condition, overrides, arguments = condition_and_overrides(made, argv)
    job = compose("gather", overrides, arguments.conf)
    from ecgexp.gather import gather

    gathered = gather(job, condition)
    if job.config["format"] == "json":
        from ecgexp.cli.tables import show_json

        show_json({**asdict(gathered), "folder": str(gathered.folder)})
    else:
        _show(gathered)
    return 0


def _show(gathered: Gathered) -> None:
    from rich.table import Table

    from ecgexp.cli.tables import wide_console

    console = wide_console()
    shown = [name for name in gathered.runs[0] if isinstance(gathered.runs[0][name], float)]
    runs = Table(title="runs", title_justify="left")
    for name in ("name", "seed", "fold", "n_windows", *shown):
        runs.add_column(name)
    for row in gathered.runs:
        plain = [str(row[name] or "") for name in ("name", "seed", "fold", "n_windows")]
        runs.add_row(*plain, *(f"{row[name]:.4f}" for name in shown))
    console.print(runs)
    table = Table()
    for name in ("figure", "value", "95 % interval"):
        table.add_column(name)
    for name, found in gathered.figures.items():
        table.add_row(name, f"{found.value:.4f}", f"{found.low:.4f} to {found.high:.4f}")
    console.print(table)
    console.print(
        f"{gathered.how}\n{gathered.n_windows:,} windows of {gathered.n_patients:,} patients; "
        f"table and pictures in {gathered.folder}",
        soft_wrap=True,
        markup=False,
    )
