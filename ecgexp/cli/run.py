"""`ecgexp run`: one experiment, or with -m a sweep."""

from __future__ import annotations

import sys

from ecgexp.cli.options import parser, read
from ecgexp.config.compose import compose, compose_sweep, to_yaml
from ecgexp.config.launcher import split_words

TEXT = """Train, quantize, compile and measure, all in one MLflow run.

With -m, every combination of comma-separated values is one run below the sweep's own run:
  ecgexp run -m architecture=cnn_small,tcn quantization=none,ptq_int8
What has a FINISHED run is skipped; the same command finishes what a kill left (force=true runs
all of it again). Networks that differ only in quantization, target or deploy are trained once.
Jobs run one after the other, or where hydra/launcher says:
  hydra/launcher=joblib hydra.launcher.n_jobs=2         processes here      (ecgexp[joblib])
  hydra/launcher=submitit_slurm hydra.launcher.partition=cpu hydra.launcher.cpus_per_task=4
                                                        jobs of Slurm       (ecgexp[slurm])
  hydra/launcher=submitit_local                         the same, tried here
  hydra/launcher=ray                                    tasks of Ray        (ecgexp[ray])
"""


def main(argv: list[str]) -> int:
    """Run the stages of one job, or of every combination of a sweep."""
    made = parser("run", TEXT)
    made.add_argument("-m", "--multirun", action="store_true", help="sweep over a=1,2 b=x,y")
    made.add_argument("--cfg", choices=["job"], help="print the composed configuration and stop")
    arguments = read(made, argv)
    words, launcher = split_words(arguments.overrides)
    if arguments.cfg:
        sys.stdout.write(to_yaml(compose("config", words, arguments.conf).config))
        return 0
    jobs = (
        compose_sweep("config", words, arguments.conf)
        if arguments.multirun
        else [compose("config", words, arguments.conf)]
    )
    from ecgexp.cli.tables import show_outcomes
    from ecgexp.sweep import run_jobs

    outcomes, interrupted = run_jobs(jobs, is_sweep=arguments.multirun, launcher=launcher)
    show_outcomes(outcomes, jobs[0].config)
    if interrupted:
        return 130
    return 0 if all(outcome.status == "FINISHED" for outcome in outcomes) else 2
