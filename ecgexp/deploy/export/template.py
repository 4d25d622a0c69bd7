"""Fill the files of an exported library that are the same for every network but for some words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

_FOLDER = Path(__file__).parent / "templates"
_WORD = re.compile(r"@(\w+)@")


def render(name: str, words: Mapping[str, str]) -> str:
    """Return a template with every `@word@` replaced.

    Args:
        name: File below `templates/`.
        words: What stands for each word.

    Raises:
        KeyError: The template holds a word that is not given.
    """
    text = (_FOLDER / name).read_text(encoding="utf-8")
    return _WORD.sub(lambda match: words[match[1]], text)
