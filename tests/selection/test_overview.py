"""The page and the picture of a sweep, logged into its run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ecgexp.config.compose import compose
from ecgexp.pipeline import open_store
from ecgexp.selection.overview import log_overview, varied_options, write_overview
from ecgexp.tracking.found import Found
from ecgexp.tracking.names import KIND_TAG, OVERRIDES_TAG

M55 = "deploy/corstone300_m55"


def found(overrides: str) -> Found:
    tags = {OVERRIDES_TAG: overrides}
    return Found(run_id="", name="", status="FINISHED", metrics={}, tags=tags, params={})


def test_varied_options() -> None:
    runs = [
        found("architecture=cnn_small seed=1 +x.y=[1, 2] debug=smoke"),
        found("architecture=tcn seed=2 +x.y=[1, 2] debug=smoke optimizer.optimizer.lr=0.1"),
    ]
    assert varied_options(runs) == {
        "architecture": ["cnn_small", "tcn"],
        "seed": [1.0, 2.0],
        "optimizer.optimizer.lr": [None, 0.1],
    }


@pytest.mark.parametrize(("n_runs", "expected"), [(3, {"sweep.html", "front.png"}), (1, set())])
def test_log_overview(home: Path, tmp_path: Path, n_runs: int, expected: set[str]) -> None:
    config = compose("config", [f"paths.home={home}"]).config
    store = open_store(config)
    parent = store.start(name="my-sweep", params={}, tags={KIND_TAG: "sweep"})
    ids = []
    for number in range(n_runs):
        run = store.start(name=f"r{number}", params={}, tags={OVERRIDES_TAG: f"seed={number}"})
        with run.active():
            run.log_metrics(
                {"test/f1_macro": 0.8 + number / 100, f"{M55}/instructions": 1e5 + number}
            )
        ids.append(run.run_id)
    files = log_overview(parent, [*ids, "0" * 32], config)
    assert {path.name for path in files} == expected
    for path in files:
        assert parent.fetch_artefact(path.name, tmp_path).stat().st_size > 1000
    if files:
        page = files[0].read_text()
        assert "my-sweep" in page
        assert f"http://127.0.0.1:5000/#/experiments/{parent.experiment_id}/runs/{ids[0]}" in page
        assert "seed" in page


def test_the_picture_shows_the_deployed_networks_by_what_was_varied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Float and int8 stand on one scale; a run that was not deployed is in one panel only."""
    drawn: list[Any] = []
    monkeypatch.setattr("ecgexp.report.tradeoff.tradeoff", lambda *a: drawn.append(a) or a[-1])
    figures = {
        "none": {"model/accuracy": 0.95, "model/bytes": 320e3, f"{M55}/instructions": 2e6},
        "ptq_int8": {"model/accuracy": 0.94, "model/bytes": 80e3, f"{M55}/instructions": 4e5},
        "qat_int8": {"model/accuracy": 0.93, "model/bytes": 80e3, f"{M55}/instructions": 5e5},
        "alq": {"model/accuracy": 0.94, "model/bytes": 24e3},
        "mixed": {},
    }
    runs = [
        replace(found(f"quantization={name} seed=1"), name=name, metrics=metrics)
        for name, metrics in figures.items()
    ]
    page, picture = write_overview(tmp_path, runs, "corstone300_m55", title="t", links={}, note="")
    assert picture == tmp_path / "front.png"
    points, quality, panels, _ = drawn[0]
    assert quality == "accuracy of the deployed network, test split"
    assert list(panels) == ["model/bytes", f"{M55}/instructions"]
    assert {point.name: (point.quality, point.costs) for point in points} == {
        "none": (0.95, {"model/bytes": (320e3, True), f"{M55}/instructions": (2e6, True)}),
        "ptq_int8": (0.94, {"model/bytes": (80e3, False), f"{M55}/instructions": (4e5, True)}),
        "qat_int8": (0.93, {"model/bytes": (80e3, False), f"{M55}/instructions": (5e5, False)}),
        "alq": (0.94, {"model/bytes": (24e3, True)}),
    }
    assert "312.5 KiB" in page.read_text()
