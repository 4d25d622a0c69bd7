"""`ecgexp run`: one experiment, or with -m a sweep."""

from __future__ import annotations

import sys

from ecgexp.cli.options import parser, read
from ecgexp.config.compose import compose, compose_sweep, to_yaml


def main(argv: list[str]) -> int:
    """Run the stages of one job, or of every combination of a sweep."""
    made = parser("run", "Train, quantize, compile and measure, all in one MLflow run.")
    made.add_argument("-m", "--multirun", action="store_true", help="sweep over a=1,2 b=x,y")
    made.add_argument("--cfg", choices=["job"], help="print the composed configuration and stop")
    arguments = read(made, argv)
    if arguments.cfg:
        sys.stdout.write(to_yaml(compose("config", arguments.overrides, arguments.conf).config))
        return 0
    jobs = (
        compose_sweep("config", arguments.overrides, arguments.conf)
        if arguments.multirun
        else [compose("config", arguments.overrides, arguments.conf)]
    )
    from ecgexp.cli.tables import show_outcomes
    from ecgexp.sweep import run_jobs

    outcomes, interrupted = run_jobs(jobs, is_sweep=arguments.multirun)
    show_outcomes(outcomes, jobs[0].config)
    if interrupted:
        return 130
    return 0 if all(outcome.status == "FINISHED" for outcome in outcomes) else 2
