"""The page of many runs: what it says without scripts, and what Chromium makes of it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from ecgexp.report.page import Axis, Entry, write_runs_page
from tests.browser import dom, needs_browser

AXES = (
    Axis(name="architecture", title="architecture", is_cost=None),
    Axis(name="test/f1_macro", title="f1", is_cost=False),
    Axis(name="deploy/t/flash_bytes", title="flash", is_cost=True),
)
EVIL = "</script><script>document.title='broken'</script>"
ENTRIES = (
    Entry(run_id="a" * 32, name="first", link="http://x/#/a?b&c", pareto=True,
          values=("cnn", 0.9, 20480.0)),
    Entry(run_id="b" * 32, name=EVIL, link="", pareto=False, values=("tcn", 0.8, 40960.0)),
    Entry(run_id="c" * 32, name="no figures", link="", pareto=False,
          values=("tcn", None, float("nan"))),
)  # fmt: skip


@pytest.fixture
def page(tmp_path: Path) -> Path:
    return write_runs_page(
        tmp_path / "sweep.html",
        title="A sweep & more",
        note="three runs",
        axes=AXES,
        entries=ENTRIES,
        shown=("deploy/t/flash_bytes", "test/f1_macro"),
    )


def test_the_file_alone_has_everything(page: Path) -> None:
    text = page.read_text()
    assert "A sweep &amp; more" in text
    assert '<a href="http://x/#/a?b&amp;c">first</a>' in text
    assert "<td>20.0 KiB</td>" in text
    assert EVIL not in text
    for outside in ("<link", "@import", "url(", "src="):
        assert outside not in text
    assert "default-src 'none'" in text
    found = re.search(r'id="data">(.*?)</script>', text, re.DOTALL)
    assert found is not None
    data = json.loads(found[1])
    assert data["shown"] == [2, 1]
    assert data["runs"][2]["values"] == ["tcn", None, None]
    assert data["runs"][1]["name"] == EVIL


@needs_browser
def test_in_a_browser_every_run_is_a_line_a_dot_and_a_row(page: Path, tmp_path: Path) -> None:
    shown = dom(page.as_uri(), tmp_path / "profile")
    assert "<title>A sweep &amp; more</title>" in shown
    lines = re.findall(r'<polyline points="([^"]*)" class="run[^"]*" data-run="(\d)"', shown)
    assert sorted(number for _, number in lines) == ["0", "1", "2"]
    assert [len(points.split()) for points, _ in sorted(lines, key=lambda line: line[1])] == [
        3,
        3,
        1,
    ]
    dots = {
        number: (float(x), float(y))
        for x, y, number in re.findall(
            r'<circle cx="([\d.]+)" cy="([\d.]+)"[^>]*data-run="(\d)"', shown
        )
    }
    assert set(dots) == {"0", "1"}
    # Less flash stands on the left, a higher F1 above.
    assert dots["0"][0] < dots["1"][0]
    assert dots["0"][1] < dots["1"][1]
    assert len(re.findall(r'<tr data-run="\d"', shown)) == 3
    assert shown.count("<option") == 2 * len(AXES)
    for label in ("20.0 KiB", "40.0 KiB", "0.9", "cnn"):
        assert re.search(rf"<text[^>]*>{label}</text>", shown), label
