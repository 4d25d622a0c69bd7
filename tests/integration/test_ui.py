"""`ecgexp ui` as a person sees it: MLflow in headless Chromium, with our columns and charts."""

from __future__ import annotations

import signal
import socket
import subprocess
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from ecgexp.tracking.store import Store
from tests.browser import dom, needs_browser, texts
from tests.integration.conftest import Command

pytestmark = [pytest.mark.slow, needs_browser]
M55 = "deploy/corstone300_m55"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def addresses(process: subprocess.Popen[str], last: str) -> dict[str, str]:
    """Read the lines `name address` that the command prints once the server is up."""
    assert process.stdout is not None
    found: dict[str, str] = {}
    for line in process.stdout:
        name, _, address = line.partition(" ")
        found[name] = address.strip()
        if name == last:
            return found
    raise AssertionError("the server ended before it was up")


@pytest.fixture
def pages(ecgexp: Command) -> Iterator[dict[str, str]]:
    store = Store(experiment="ecgexp", home=ecgexp.home)
    for number, f1 in enumerate((0.91, 0.87)):
        run = store.start(name=f"net-{number}", params={"seed": number}, tags={})
        with run.active():
            run.log_metrics({"test/f1_macro": f1, "quantization/accuracy_drop": 0.0625})
            run.log_metrics({f"{M55}/instructions": 123456.0 - number * 1000})
            run.log_metrics({f"{M55}/cycles_est": 234567.0, f"{M55}/flash_bytes": 34567.0})
            run.log_metrics({f"{M55}/ram_bytes": 4567.0})
            run.set_tags({"ecgexp.deployable": "true"})
    process = ecgexp.start("ui", "--no-browser", f"port={free_port()}")
    try:
        yield addresses(process, last="compare")
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)


def test_columns_charts_and_comparison(pages: dict[str, str], tmp_path: Path) -> None:
    # Wide: a table draws only the columns that are in sight.
    table = dom(pages["columns"], tmp_path / "profile", size="4000,900", patience_ms=30000)
    for text in (
        *("net-0", "net-1", "test/f1_macro", "quantization/accuracy_drop"),
        *(f"{M55}/{name}" for name in ("instructions", "cycles_est", "flash_bytes", "ram_bytes")),
        *("ecgexp.deployable", "0.91", "0.0625", "123456", "234567", "34567", "4567"),
    ):
        assert text in table, text
    assert table.index("net-0") < table.index("net-1"), "the best run is not first"
    charts = dom(pages["charts"], tmp_path / "profile", size="2400,1600", patience_ms=30000)
    assert ("ecgexp", "(5)") in pairwise(texts(charts)), "our section with its five charts"
    compared = dom(pages["compare"], tmp_path / "profile", size="2400,1600", patience_ms=30000)
    assert "Comparing 2 Runs" in compared
