"""`ecgexp doctor`: what is installed, what it is for, what stops without it."""

from __future__ import annotations

from ecgexp.cli.options import parser


def main(argv: list[str]) -> int:
    """Print one row per tool and library; the exit code tells whether the main job can run."""
    made = parser("doctor", "List tools and libraries with versions.", groups=False)
    arguments = made.parse_intermixed_args(argv)
    from ecgexp.doctor import examine

    findings = examine()
    if "format=json" in arguments.overrides:
        from ecgexp.cli.tables import show_json

        show_json([finding.__dict__ for finding in findings])
    else:
        from rich.console import Console
        from rich.table import Table

        table = Table("", "name", "version", "for", "without it")
        for finding in findings:
            mark = "ok" if finding.version else "missing"
            table.add_row(mark, finding.name, finding.version, finding.purpose, finding.without)
        Console().print(table)
    return 0 if all(finding.version for finding in findings if finding.required) else 2
