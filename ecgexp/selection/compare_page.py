"""A comparison as a page that stands alone, and its confusion matrices as a picture."""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence
from pathlib import Path

from ecgexp.config.compose import Job
from ecgexp.pipeline import home_folder, open_store
from ecgexp.selection.comparison import Comparison, Side
from ecgexp.selection.links import compare_url, run_url

PAGE, PICTURE = "compare.html", "compare.png"


def write_comparison(comparison: Comparison, job: Job) -> list[Path]:
    """Write `compare.html`, and `compare.png` where there are predictions; return the paths.

    Raises:
        ConfigError: The folder cannot be written.
    """
    from ecgexp.report.page import document

    config = job.config
    folder = _folder(comparison, job)
    picture = _picture(comparison, folder / PICTURE)
    ids = [run.run_id for run in comparison.runs]
    number = open_store(config).known_experiment_id() or ""
    heads = [f"{letter(i)}: {run.name}" for i, run in enumerate(comparison.runs)]
    links = "".join(
        f'<li><a href="{html.escape(run_url(config, number, run_id))}">{html.escape(head)}</a> '
        f"<code>{run_id}</code></li>"
        for head, run_id in zip(heads, ids, strict=True)
    )
    parts = [
        f"<ul>{links}</ul>",
        f'<p><a href="{html.escape(compare_url(config, number, ids))}">the same runs in MLflow</a>'
        ", while <code>ecgexp ui</code> runs. Differences are to A.</p>",
        *(f"<p>{html.escape(text)}</p>" for text in comparison.missing),
        _section("Configuration", comparison.options, heads),
        _section("Figures", comparison.figures, heads),
        _section(f"Instructions per layer on {comparison.device}", comparison.layers, heads),
    ]
    if picture is not None:
        coded = base64.b64encode(picture.read_bytes()).decode("ascii")
        parts.append(
            f'<h2>Test split</h2><img alt="confusion matrices" src="data:image/png;base64,{coded}">'
        )
    page = folder / PAGE
    page.write_text(document("Comparison of runs", "\n".join(parts)), encoding="utf-8")
    return [page] if picture is None else [page, picture]


def letter(position: int) -> str:
    """Return the short name of a run in a comparison: A, B, ..."""
    return chr(ord("A") + position) if position < 26 else f"R{position}"


def _folder(comparison: Comparison, job: Job) -> Path:
    from ecgexp.errors import ConfigError

    chosen = job.config["output"]
    name = "-".join(run.run_id[:8] for run in comparison.runs)
    folder = (
        Path(str(chosen)).expanduser().absolute()
        if chosen is not None
        else home_folder(job.config) / "compare" / name[:200]
    )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"output={folder} cannot be written: {error}; choose another output"
        ) from error
    return folder


def _section(title: str, sides: Sequence[Side], heads: Sequence[str]) -> str:
    from ecgexp.report.page.document import table

    heading = f"<h2>{html.escape(title)}</h2>"
    if not sides:
        return f"{heading}<p>nothing to compare</p>"
    rows = [
        [html.escape(side.name), *(_cell(side, i) for i in range(len(heads)))] for side in sides
    ]
    return heading + table(["", *heads], rows)


def _cell(side: Side, position: int) -> str:
    text = html.escape(shown(side, position))
    change = change_in_words(side, position)
    if not change:
        return text
    return f'{text} <span class="{side.verdict(position)}">{html.escape(change)}</span>'


def shown(side: Side, position: int) -> str:
    """Return a value as a table shows it."""
    from ecgexp.report.page.runs import readable

    return readable(side.values[position], side.name)


def change_in_words(side: Side, position: int) -> str:
    """Return the difference to the first run: per cent for costs, else in the figure's unit."""
    change, first = side.difference(position), side.values[0]
    if not change or change != change:
        return ""
    if isinstance(first, float) and abs(first) >= 10:
        return f"{100 * change / first:+.1f} %"
    return f"{change:+.4g}"


def _picture(comparison: Comparison, path: Path) -> Path | None:
    from ecgexp.report.matrix import Panel, confusion_matrices

    if not comparison.matrices:
        return None
    panels = [
        Panel(
            title=f"{letter(matrix.run)}, {matrix.network}",
            labels=matrix.labels,
            counts=matrix.counts,
        )
        for matrix in sorted(comparison.matrices, key=lambda matrix: matrix.network)
    ]
    return confusion_matrices(panels, path, columns=len(comparison.runs))
