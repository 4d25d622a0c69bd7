"""What the verbs share: reading words, logging, listing the config groups."""

from __future__ import annotations

import argparse
import logging
import re
import sys
from pathlib import Path

from ecgexp.resources import resource_folder


def parser(verb: str, text: str, groups: bool = True) -> argparse.ArgumentParser:
    """Return a parser whose help lists the config groups and their options."""
    made = argparse.ArgumentParser(
        prog=f"ecgexp {verb}",
        description=text,
        epilog=_group_table() if groups else None,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("overrides", nargs="*", metavar="key=value", help="configuration override")
    made.add_argument(
        "--conf",
        action="append",
        default=[],
        type=Path,
        metavar="DIR",
        help="further folder of config groups, searched after the shipped one",
    )
    made.add_argument("--quiet", action="store_true", help="print results and errors only")
    return made


def read(made: argparse.ArgumentParser, argv: list[str]) -> argparse.Namespace:
    """Parse words in any order and set up logging."""
    arguments = made.parse_intermixed_args(argv)
    set_up_logging(quiet=arguments.quiet)
    return arguments


_OVERRIDE = re.compile(r"[+~]{0,2}[\w./@-]+=(?!=)")


def condition_and_overrides(
    made: argparse.ArgumentParser, argv: list[str]
) -> tuple[str, list[str], argparse.Namespace]:
    """Tell a condition such as `f1 > 0.9` from the overrides around it, in any order."""
    made.add_argument("condition", nargs="?", default="", help="filter; without it every run")
    arguments = read(made, argv)
    words = [word for word in (arguments.condition, *arguments.overrides) if word]
    condition = " ".join(word for word in words if not _OVERRIDE.match(word))
    return condition, [word for word in words if _OVERRIDE.match(word)], arguments


def set_up_logging(*, quiet: bool) -> None:
    """Send ecgexp's log lines to stderr; stdout is for results."""
    handler: logging.Handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S"))
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.logging import RichHandler

        handler = RichHandler(console=Console(stderr=True), show_path=False, markup=False)
    logger = logging.getLogger("ecgexp")
    logger.handlers = [handler]
    logger.setLevel(logging.WARNING if quiet else logging.INFO)
    logger.propagate = False


def _group_table() -> str:
    lines = ["config groups (group=option):"]
    for folder in sorted(resource_folder("conf").iterdir()):
        if folder.is_dir():
            options = sorted(p.stem for p in folder.glob("*.yaml") if not p.stem.startswith("_"))
            lines.append(f"  {folder.name:<14} {'  '.join(options)}")
    return "\n".join(lines)
