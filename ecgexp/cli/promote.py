"""`ecgexp promote`: a run's model becomes a version in MLflow's model registry."""

from __future__ import annotations

from ecgexp.cli.options import parser, read
from ecgexp.config.compose import compose

TEXT = """Register a run's ONNX model under an alias, with labels, device figures and C library.

  ecgexp promote RUN --alias deployable name=afib target=corstone300_m55
  python -c "import mlflow; mlflow.set_tracking_uri('sqlite:///HOME/mlflow.db');
             mlflow.onnx.load_model('models:/afib@deployable')"

Refused: a run that broke its limits, whose golden outputs differ on the target, with a failed
stage, unfinished, or never deployed there."""


def main(argv: list[str]) -> int:
    """Check the run, export its library, register it."""
    made = parser("promote", TEXT, groups=False)
    made.usage = "ecgexp promote RUN [--alias NAME] [options] [key=value ...]"
    made.add_argument("--alias", metavar="NAME", help="the same as alias=NAME")
    arguments = read(made, argv)
    runs = [word for word in arguments.overrides if "=" not in word]
    if len(runs) > 1:
        made.error(f"one run at a time: {' '.join(runs)}")
    words = [word for word in arguments.overrides if "=" in word]
    words += [f"run_id={run}" for run in runs]
    words += [f"alias={arguments.alias}"] if arguments.alias else []
    job = compose("promote", words, arguments.conf)
    from ecgexp.cli.run_tables import show_promotion
    from ecgexp.selection.promotion import promote

    show_promotion(promote(job), job.config)
    return 0
