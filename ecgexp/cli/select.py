"""`ecgexp select`: which models meet a condition."""

from __future__ import annotations

from ecgexp.cli.options import parser
from ecgexp.config.compose import compose

TEXT = """List the FINISHED runs that meet a condition; the Pareto front is marked *.

  ecgexp select "test/f1_macro > 0.8 and deploy/corstone300_m55/instructions < 2e6"
  ecgexp select "f1 > 0.9 and latency < 5 ms" device=corstone300_m55 sort=instructions

Short names: f1, accuracy, instructions, cycles, latency (us, ms, s), flash, ram (KiB, MiB)."""


def main(argv: list[str]) -> int:
    """Query the store and print the table."""
    made = parser("select", TEXT, groups=False)
    made.add_argument("condition", nargs="?", default="", help="filter; without it every run")
    arguments = made.parse_intermixed_args(argv)
    words = [arguments.condition, *arguments.overrides]
    condition = " ".join(word for word in words if _is_condition(word))
    overrides = [word for word in words if word and not _is_condition(word)]
    job = compose("select", overrides, arguments.conf)
    from ecgexp.cli.tables import show_selection
    from ecgexp.selection import run_list_url, select

    show_selection(select(job, condition), job.config, run_list_url(job, condition))
    return 0


def _is_condition(word: str) -> bool:
    return any(sign in word for sign in "<>! ") or "==" in word
