"""`ecgexp search`: find configurations with Optuna."""

from __future__ import annotations

import argparse

from ecgexp.cli.options import parser, read
from ecgexp.config.compose import compose

TEXT = """Search configurations: ask, train, tell, up to search.n_trials in total.

  ecgexp search search=f1_vs_latency dataset=mitdb search.n_trials=60 search.n_workers=2
  ecgexp search search=f1_vs_latency deploy.limits.flash_bytes=65536 search/sampler=nsga2
  ecgexp search search=f1_vs_latency search.confirm=best

The same command goes on where an earlier one stopped; started twice, both share the trials.
Exit code 0 when at least one trial was trained to its end, 2 otherwise, 130 interrupted."""


def main(argv: list[str]) -> int:
    """Work on a study and print what it found."""
    made = parser("search", TEXT)
    made.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    arguments = read(made, argv)
    words, folders = arguments.overrides, arguments.conf
    job = compose("search", words, folders)
    from ecgexp.search.command import search, work

    if arguments.worker:
        work(job, words, folders)
        return 0
    from ecgexp.cli.search_table import show_result

    result, interrupted = search(job, words, folders)
    show_result(result, job.config)
    if interrupted:
        return 130
    return 0 if result.states.get("complete") else 2
