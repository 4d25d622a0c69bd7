"""`ecgexp predict`: labels for a folder of recordings."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from ecgexp.cli.options import parser, read
from ecgexp.config.compose import compose

if TYPE_CHECKING:
    from ecgexp.predict import Prediction

TEXT = """Label recordings with the network of a run: WFDB, EDF, CSV or NumPy files in a folder and
the folders below it. Writes answers.txt (name,label) and predictions.csv (probabilities, what was
done to each recording, and why one has no label).

  ecgexp predict run_id=RUN input=FOLDER
  ecgexp predict run_id=RUN input=FOLDER fs_hz=250 mv_per_unit=0.001 output=answers
  ecgexp predict run_id=RUN input=FOLDER network=float format=json"""

SHOWN_PROBLEMS = 20


def main(argv: list[str]) -> int:
    """Predict and print the counts."""
    arguments = read(parser("predict", TEXT, groups=False), argv)
    job = compose("predict", arguments.overrides, arguments.conf)
    from ecgexp.predict import predict

    prediction = predict(job)
    if job.config["format"] == "json":
        from ecgexp.cli.tables import show_json

        show_json(
            {
                "answers": [asdict(answer) for answer in prediction.answers],
                "ms_per_recording": prediction.ms_per_recording,
                "folder": str(prediction.folder),
            }
        )
    else:
        _show(prediction)
    return 0


def _show(prediction: Prediction) -> None:
    from rich.table import Table

    from ecgexp.cli.tables import wide_console

    console = wide_console()
    table = Table()
    table.add_column("label")
    table.add_column("recordings", justify="right")
    for label in prediction.labels:
        table.add_row(label, f"{prediction.counts.get(label, 0):,}")
    console.print(table)
    if prediction.several:
        table.add_row("none of them", f"{prediction.counts.get('none', 0):,}")
    problems = [answer for answer in prediction.answers if not answer.label]
    if problems:
        console.print(f"{len(problems)} without a label:", markup=False)
    for answer in problems[:SHOWN_PROBLEMS]:
        console.print(f"- {answer.remark}", soft_wrap=True, markup=False)
    fitted = sum(bool(answer.label and answer.remark) for answer in prediction.answers)
    console.print(
        f"{len(prediction.answers):,} recordings, {prediction.ms_per_recording:.1f} ms each; "
        f"{fitted:,} had to be fitted (see the column `remark`)\n"
        f"answers.txt and predictions.csv are in {prediction.folder}",
        soft_wrap=True,
        markup=False,
    )
