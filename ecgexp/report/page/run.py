"""One run on one page: what it was, what it learnt, where it errs, what the device did."""

from __future__ import annotations

import base64
import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ecgexp.report.page.document import document, table
from ecgexp.report.page.runs import readable


@dataclass(frozen=True, kw_only=True)
class Picture:
    """One picture of a page.

    Attributes:
        heading: Above it.
        note: How to read it, plain text.
        path: PNG file; left out where there is none.
    """

    heading: str
    note: str
    path: Path


def write_run_page(
    path: Path,
    *,
    title: str,
    facts: Mapping[str, str],
    data_card: Mapping[str, Any],
    figures: Mapping[str, float],
    device: Mapping[str, Mapping[str, float]],
    pictures: Sequence[Picture],
    config: str,
) -> Path:
    """Write the page.

    Args:
        path: HTML file to write.
        title: Heading.
        facts: Short answers below the heading, such as run id and commit.
        data_card: From `ecgexp.dataset.inspect.summarise`.
        figures: Metrics of the test and of quantization by full name.
        device: Figures of each target by bare name.
        pictures: In order.
        config: The configuration as YAML.
    """
    parts = [
        table(["", ""], [[html.escape(k), html.escape(v)] for k, v in facts.items()]),
        "<h2>Data</h2>",
        *_data(data_card),
        "<h2>Figures</h2>",
        _figures(figures),
        *_pruning(figures),
        "<h2>Device</h2>",
        _device(device),
    ]
    for picture in pictures:
        if picture.path.is_file():
            parts += [
                f"<h2>{html.escape(picture.heading)}</h2>",
                f"<p>{html.escape(picture.note)}</p>",
                _image(picture.path, picture.heading),
            ]
    parts += [
        "<h2>Configuration</h2>",
        f"<details><summary>every key</summary><pre>{html.escape(config)}</pre></details>",
    ]
    path.write_text(document(title, "\n".join(parts)), encoding="utf-8")
    return path


def _data(card: Mapping[str, Any]) -> list[str]:
    splits: Mapping[str, Any] = card["splits"]
    heads = ["split", "patients", "recordings", "windows", *card["labels"]]
    rows = [
        [
            html.escape(name),
            *(f"{n:,}" for n in (len(s["patients"]), len(s["records"]), s["windows"])),
            *(f"{s['classes'][label]:,}" for label in card["labels"]),
        ]
        for name, s in splits.items()
    ]
    leads = ", ".join(card["leads"])
    note = f"{card['name']}: {card['n_samples']} samples at {card['fs_hz']:g} Hz, lead {leads}."
    caveat = [f'<p class="worse">{html.escape(card["caveat"])}</p>'] if card["caveat"] else []
    if card["several"]:
        note += " A window can be of several classes, or of none."
    return [f"<p>{html.escape(note)}</p>", *caveat, table(heads, rows)]


def _figures(figures: Mapping[str, float]) -> str:
    """Put the float network's test figures beside those of the quantized one."""
    names = [name.removeprefix("test/") for name in figures if name.startswith("test/")]
    rows = [
        [
            html.escape(name),
            readable(figures[f"test/{name}"]),
            readable(figures.get(f"quantization/int8_{name}")),
        ]
        for name in names
    ]
    return table(["on the test split", "float", "quantized"], rows)


def _pruning(figures: Mapping[str, float]) -> list[str]:
    """Put what a network costs before pruning beside what it costs after."""
    names = [
        name.removeprefix("prune/").removesuffix("_before")
        for name in figures
        if name.startswith("prune/") and name.endswith("_before")
    ]
    rows = [
        [
            html.escape(name),
            *(readable(figures.get(f"prune/{name}_{when}"), name) for when in ("before", "after")),
        ]
        for name in names
    ]
    note = "<p>On the target with the same quantization, nothing trained for it.</p>"
    return ["<h2>Pruning</h2>", note, table(["", "before", "after"], rows)] if rows else []


def _device(device: Mapping[str, Mapping[str, float]]) -> str:
    if not device:
        return "<p>Not deployed.</p>"
    names = list(dict.fromkeys(name for figures in device.values() for name in figures))
    rows = [
        [html.escape(name), *(readable(figures.get(name), name) for figures in device.values())]
        for name in names
    ]
    note = "<p>Instructions are exact on the emulator; cycles_est is an estimate.</p>"
    return note + table(["", *device], rows)


def _image(path: Path, text: str) -> str:
    content = base64.b64encode(path.read_bytes()).decode("ascii")
    return f'<img alt="{html.escape(text)}" src="data:image/png;base64,{content}">'
