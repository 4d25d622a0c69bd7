"""`ecgexp data download`, `ecgexp data inspect` and `ecgexp data verify`."""

from __future__ import annotations

from ecgexp.cli.options import parser, read
from ecgexp.config.compose import compose
from ecgexp.errors import ConfigError

ACTIONS = ("download", "inspect", "verify")


def main(argv: list[str]) -> int:
    """Fetch recordings, show them, or check them."""
    made = parser(
        "data",
        "download: fetch a data set from PhysioNet into paths.data.\n"
        "inspect: records, classes per split, and a picture of example windows.\n"
        "verify: read every recording and name all that cannot be used.",
    )
    arguments = read(made, argv)
    action, *overrides = arguments.overrides or [""]
    if action not in ACTIONS:
        raise ConfigError(f"ecgexp data {action!r}: use one of {', '.join(ACTIONS)}")
    job = compose("config", overrides, arguments.conf)
    from ecgexp import recordings

    if action == "download":
        recordings.download(job)
        return 0
    if action == "verify":
        print(recordings.verify(job))
        return 0
    summary = recordings.inspect(job)
    from ecgexp.cli.tables import show_summary

    show_summary(summary, job.config)
    return 0
