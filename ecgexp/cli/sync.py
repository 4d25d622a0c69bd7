"""`ecgexp sync`: send what runs could not tell their server."""

from __future__ import annotations

from dataclasses import asdict

from ecgexp.cli.options import parser, read
from ecgexp.config.compose import compose

TEXT = """Send what runs kept while their MLflow server did not answer: metrics, tags, files.

  ecgexp sync                                    # everything below paths.home, each to its server
  ecgexp sync tracking.uri=http://OTHER:5000     # the server has moved

What is sent is marked at once: an interrupted sync goes on where it stopped, a second one has
nothing to do. What a server refuses stays in the run's folder."""


def main(argv: list[str]) -> int:
    """Send, and print a line per run."""
    arguments = read(parser("sync", TEXT, groups=False), argv)
    job = compose("sync", arguments.overrides, arguments.conf)
    from ecgexp.cli.tables import show_json, show_synced
    from ecgexp.sync import sync

    answers = sync(job)
    if job.config["format"] == "json":
        show_json([asdict(answer) for answer in answers])
    else:
        show_synced(answers)
    return 2 if any(answer.error for answer in answers) else 0
