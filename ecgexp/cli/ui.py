"""`ecgexp ui`: MLflow on the right store, with our columns and charts."""

from __future__ import annotations

import subprocess
import sys
import webbrowser

from ecgexp.cli.options import parser, read
from ecgexp.config.compose import compose

TEXT = """Open MLflow's pages on the store, with our columns; Ctrl-C stops it.

  ecgexp ui paths.home=runs port=5001
  ecgexp ui columns=[f1,cycles,deployable] device=cortex_m33 --no-browser
  ecgexp ui tracking=server tracking.uri=http://HOST:5000     # that server's pages

It prints where the columns, the charts and the comparison of the Pareto front are."""


def main(argv: list[str]) -> int:
    """Serve until interrupted."""
    made = parser("ui", TEXT, groups=False)
    made.add_argument("--no-browser", action="store_true", help="only print the addresses")
    arguments = read(made, argv)
    job = compose("select", arguments.overrides, arguments.conf)
    from ecgexp.selection.pages import prepare_pages
    from ecgexp.tracking.server import server_command, server_environment, wait_until_up

    if job.config["tracking"].get("uri"):
        _show(prepare_pages(job), browser=not arguments.no_browser)
        return 0
    command = server_command(job.config)
    pages = prepare_pages(job)
    with subprocess.Popen(command, stdout=sys.stderr, env=server_environment()) as server:
        try:
            wait_until_up(server, job.config)
            _show(pages, browser=not arguments.no_browser)
            return server.wait()
        finally:
            server.terminate()


def _show(pages: dict[str, str], *, browser: bool) -> None:
    for name, address in pages.items():
        sys.stdout.write(f"{name:<8} {address}\n")
    sys.stdout.flush()
    if browser:
        webbrowser.open(pages["columns"])
