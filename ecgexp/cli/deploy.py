"""`ecgexp deploy`: an old run, or any ONNX classifier, on a target."""

from __future__ import annotations

from ecgexp.cli.options import parser, read
from ecgexp.config.compose import compose


def main(argv: list[str]) -> int:
    """Compile and measure; figures of a run go back into that run."""
    made = parser(
        "deploy",
        "Measure on a target: `run_id=RUN` adds to that run; `onnx=net.onnx [golden=vectors.npz]`\n"
        "needs no run.",
    )
    arguments = read(made, argv)
    job = compose("redeploy", arguments.overrides, arguments.conf)
    from ecgexp.cli.tables import show_deploy
    from ecgexp.redeploy import redeploy

    report, run_id = redeploy(job)
    show_deploy(report, run_id, job.config)
    return 0
