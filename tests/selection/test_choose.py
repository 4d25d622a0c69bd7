"""`select` on a real store: what it finds, in which order, and how it is printed."""

import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from ecgexp.__main__ import main
from ecgexp.config.compose import Job, compose
from ecgexp.errors import ConfigError
from ecgexp.pipeline import open_store
from ecgexp.selection.choose import select
from ecgexp.selection.links import run_list_url
from ecgexp.tracking.names import KIND_TAG

M55 = "corstone300_m55"


def fill(job: Job, name: str, f1: float, instructions: float, **tags: str) -> str:
    run = open_store(job.config).start(name=name, params={"optimizer.lr": 0.1}, tags=tags)
    with run.active():
        run.log_metrics(
            {
                "test/f1_macro": f1,
                f"deploy/{M55}/instructions": instructions,
                f"deploy/{M55}/flash_bytes": 1000.0,
            }
        )
    return run.run_id


@pytest.fixture(scope="module")
def filled(home: Path) -> Path:
    job = compose("select", [f"paths.home={home}"])
    parent = open_store(job.config).start(name="sweep", params={}, tags={KIND_TAG: "sweep"})
    with parent.active():
        pass
    child = {"mlflow.parentRunId": parent.run_id}
    fill(job, "good", 0.95, 2e6, **child)
    fill(job, "small", 0.85, 1e6, **child)
    fill(job, "worse", 0.80, 3e6)
    fill(job, "broken", float("nan"), 1.0)
    return home


def chosen(folder: Path, *overrides: str, condition: str = "") -> list[tuple[str, bool]]:
    rows = select(compose("select", [f"paths.home={folder}", *overrides]), condition)
    return [(row.run.name, row.pareto) for row in rows]


def test_condition_order_and_front(filled: Path) -> None:
    assert chosen(filled, condition="f1 > 0.8 or instructions < 1.5e6") == [
        ("good", True),
        ("small", True),
        ("broken", False),
    ]
    assert [name for name, _ in chosen(filled)] == ["good", "small", "worse", "broken"]
    by_cost = chosen(filled, "sort=instructions", condition="f1 > 0")
    assert by_cost == [("small", True), ("good", True), ("worse", False)]
    assert chosen(filled, "order=ascending")[0] == ("worse", False)
    assert chosen(filled, "pareto=[instructions]", "limit=1") == [("good", False)]


def test_links(filled: Path) -> None:
    job = compose("select", [f"paths.home={filled}"])
    url = run_list_url(job, "f1 > 0.8")
    assert url.startswith("http://127.0.0.1:5000/#/experiments/1/runs?searchFilter=attributes.st")
    assert url.endswith("orderByKey=metrics.%60test/f1_macro%60&orderByAsc=false")


def test_csv_has_full_names_and_precision(filled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["columns=[f1,optimizer.lr,flash]", "format=csv", f"paths.home={filled}"]
    assert main(["select", "f1 > 0.8", *words]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["name"] for row in rows] == ["good", "small"]
    assert rows[0]["test/f1_macro"] == "0.95"
    assert rows[0]["optimizer.lr"] == "0.1"
    assert rows[0][f"deploy/{M55}/flash_bytes"] == "1000.0"
    assert rows[0]["pareto"] == "1"


def test_table_and_json(filled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["select", f"paths.home={filled}", "columns=[f1,deployable]"]) == 0
    table = capsys.readouterr().out
    assert "4 runs" in table
    assert "instructions" not in table
    assert main(["select", f"paths.home={filled}", "f1 > 0.9", "format=json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    (run,) = answer["runs"]
    assert run["columns"]["instructions"] == 2e6
    assert run["link"].endswith(f"/#/experiments/1/runs/{run['run_id']}")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("sort=nix", "sort=nix: no run in"),
        ("columns=[f1,test/nix]", "columns=test/nix: no run in"),
        ("pareto=[speed]", "pareto=speed: no run in"),
        ("order=up", "order='up': use one of auto, ascending, descending"),
        ("format=xml", "use one of table, json, csv"),
    ],
)
def test_bad_options(filled: Path, override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message.replace("[", r"\[")):
        chosen(filled, override)


def test_a_fresh_home_has_no_runs_and_gets_no_store(tmp_path: Path) -> None:
    assert chosen(tmp_path / "none") == []
    assert not (tmp_path / "none").exists()


def test_neither_mlflow_nor_torch_is_imported(filled: Path) -> None:
    program = (
        "import sys; from ecgexp.__main__ import main; "
        f"main(['select', 'f1 > 0', 'paths.home={filled}']); "
        "sys.exit(' '.join({'mlflow', 'torch', 'sqlalchemy'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stderr.strip()) == (0, ""), done.stderr
    assert "3 runs" in done.stdout
