"""`ecgexp ui`: MLflow on the right store, opened at the experiment."""

from __future__ import annotations

import subprocess
import sys
import webbrowser

from ecgexp.cli.options import parser, read
from ecgexp.config.compose import compose


def main(argv: list[str]) -> int:
    """Serve until interrupted."""
    made = parser("ui", "Open MLflow's pages on the store; Ctrl-C stops it.", groups=False)
    made.add_argument("--no-browser", action="store_true", help="only print the address")
    arguments = read(made, argv)
    job = compose("select", arguments.overrides, arguments.conf)
    from ecgexp.selection.links import run_list_url
    from ecgexp.tracking.server import server_command, wait_until_up

    address = run_list_url(job)
    with subprocess.Popen(server_command(job.config), stdout=sys.stderr) as server:
        try:
            wait_until_up(server, job.config)
            sys.stdout.write(f"{address}\n")
            sys.stdout.flush()
            if not arguments.no_browser:
                webbrowser.open(address)
            return server.wait()
        finally:
            server.terminate()
