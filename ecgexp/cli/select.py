"""`ecgexp select`: which models meet a condition."""

from __future__ import annotations

from ecgexp.cli.options import condition_and_overrides, parser
from ecgexp.config.compose import compose

TEXT = """List the FINISHED runs that meet a condition; the Pareto front is marked *.

  ecgexp select "test/f1_macro > 0.8 and deploy/corstone300_m55/instructions < 2e6"
  ecgexp select "f1 > 0.9 and latency < 5 ms" device=corstone300_m55 sort=instructions
  ecgexp select "deployable = true" columns=[f1,int8_drop,flash] pareto=[f1,flash] format=csv

Short names: f1, accuracy, val_f1, int8, int8_drop, model_accuracy, model_f1, bytes, instructions,
cycles, latency (us, ms, s), flash, ram (KiB, MiB), golden, deployable, sweep; any metric, tag or
parameter by its full name."""


def main(argv: list[str]) -> int:
    """Query the store and print the table."""
    made = parser("select", TEXT, groups=False)
    condition, overrides, arguments = condition_and_overrides(made, argv)
    job = compose("select", overrides, arguments.conf)
    from ecgexp.cli.run_tables import show_selection
    from ecgexp.pipeline import open_store
    from ecgexp.selection.choose import select
    from ecgexp.selection.links import run_list_url

    rows = select(job, condition)
    number = open_store(job.config).known_experiment_id()
    show_selection(rows, job.config, run_list_url(job, condition), number)
    return 0
