"""One HTML file with its style and scripts inside."""

from __future__ import annotations

import html
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_FOLDER = Path(__file__).parent
# The browser itself then refuses whatever would need a network.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"


def document(
    title: str, body: str, *, data: Mapping[str, Any] | None = None, scripts: Sequence[str] = ()
) -> str:
    """Return a page as text.

    Args:
        title: Plain text, shown as heading too.
        body: HTML below the heading; what it says must be escaped already.
        data: What the scripts read, as JSON in the element `data`.
        scripts: Names of files in this folder.
    """
    text = html.escape(title)
    parts = [
        "<!DOCTYPE html>",
        '<html lang="en"><head><meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
        '<meta name="viewport" content="width=device-width">',
        f"<title>{text}</title>",
        f"<style>{_read('page.css')}</style></head>",
        f"<body><h1>{text}</h1>",
        body,
    ]
    if data is not None:
        parts.append(f'<script type="application/json" id="data">{_json(data)}</script>')
    parts += [f"<script>{_read(name)}</script>" for name in scripts]
    return "\n".join([*parts, "</body></html>", ""])


def table(
    heads: Sequence[str], rows: Sequence[Sequence[str]], *, identifier: str = "", caption: str = ""
) -> str:
    """Return a table; heads are plain text, cells are HTML."""
    name = f' id="{html.escape(identifier)}"' if identifier else ""
    head = "".join(f"<th>{html.escape(text)}</th>" for text in heads)
    body = "\n".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    title = f"<caption>{html.escape(caption)}</caption>" if caption else ""
    return f"<table{name}>{title}<thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table>"


def _read(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")


def _json(value: Mapping[str, Any]) -> str:
    """Return JSON that cannot end the element it stands in."""
    return json.dumps(_finite(value), allow_nan=False).replace("<", "\\u003c")


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
