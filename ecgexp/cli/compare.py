"""`ecgexp compare`: runs side by side."""

from __future__ import annotations

from ecgexp.cli.options import parser, read
from ecgexp.config.compose import compose

TEXT = """Set runs side by side: what differs in their configurations, figures with differences
to the first run, instructions of every layer, confusion matrices. Printed, and as a page.

  ecgexp compare RUN RUN device=corstone300_m55
  ecgexp compare RUN RUN RUN output=comparison format=json"""


def main(argv: list[str]) -> int:
    """Gather, print and write."""
    made = parser("compare", TEXT, groups=False)
    made.usage = "ecgexp compare RUN RUN [RUN ...] [options] [key=value ...]"
    arguments = read(made, argv)
    runs = [word for word in arguments.overrides if "=" not in word]
    overrides = [word for word in arguments.overrides if "=" in word]
    job = compose("compare", overrides, arguments.conf)
    from ecgexp.cli.compare_tables import show_comparison
    from ecgexp.selection.compare_page import write_comparison
    from ecgexp.selection.comparison import compare

    comparison = compare(job, runs)
    show_comparison(comparison, write_comparison(comparison, job), job.config)
    return 0
