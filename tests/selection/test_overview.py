"""The page and the picture of a sweep, logged into its run."""

from __future__ import annotations

from pathlib import Path

import pytest

from ecgexp.config.compose import compose
from ecgexp.pipeline import open_store
from ecgexp.selection.overview import log_overview, varied_options
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
                {"test/f1_macro": 0.8 + number / 100, f"{M55}/cycles_est": 1e5 + number}
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
