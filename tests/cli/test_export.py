"""`ecgexp export` from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ecgexp.__main__ import main
from tests.deploy.zoo import ZOO


@pytest.fixture
def words(tmp_path: Path) -> list[str]:
    net = ZOO["residual"](tmp_path / "net.onnx")
    options = ["export.codegen=c", "export.n_golden=2", f"output={tmp_path / 'out'}"]
    return ["export", "--quiet", f"onnx={net}", f"paths.home={tmp_path / 'home'}", *options]


def test_writes_folder_and_archive_and_says_where(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*words, "format=json", "export.prefix=afib"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["folder"] == str(tmp_path / "out")
    assert told["archive"] == str(tmp_path / "out.tar.gz")
    assert told["compiled_for"] == "c"
    assert told["n_golden"] == 2
    assert told["figures"]["arena_bytes"] > 0
    assert (tmp_path / "out" / "include" / "afib" / "model.h").is_file()
    assert main([*words, "format=table", f"output={tmp_path / 'second'}"]) == 0
    assert str(tmp_path / "second.tar.gz") in capsys.readouterr().out


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ("export.prefix=3", "export.prefix=3: write the beginning of a C identifier"),
        ("export.codegen=rust", "export.codegen='rust': use one of object, c"),
        ("export.prefxi=a", "unknown key 'export.prefxi' on the command line: did you mean"),
        ("+export.prefxi=a", "unknown key 'export.prefxi': did you mean 'prefix'?"),
        ("run_id=x", "give exactly one of run_id=RUN and onnx=net.onnx"),
        ("onnx=/nowhere/net.onnx", "/nowhere/net.onnx"),
        ("output=/dev/null", "/dev/null is there already; remove it or choose another output"),
        ("output=/dev/null/x", "output=/dev/null/x cannot be written"),
        ("target=mars", "mars"),
    ],
)
def test_faults_are_one_message_and_leave_nothing(
    extra: str, message: str, words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*words, extra]) == 2
    err = capsys.readouterr().err
    assert err.startswith("error: ")
    assert message in err
    assert "Traceback" not in err
    assert {path.name for path in tmp_path.iterdir()} <= {"net.onnx", "home"}
    assert not (tmp_path / "home" / "export").exists()


@pytest.mark.slow
def test_an_old_run_is_exported(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from tests.integration.conftest import SMALL

    place = f"paths.home={home}"
    assert main(["run", *SMALL, place, "deploy=none", "format=json"]) == 0
    run_id = json.loads(capsys.readouterr().out)["run_id"]
    options = ["export.codegen=c", "export.archive=zip", "format=json"]
    assert main(["export", f"run_id={run_id}", place, *options]) == 0
    told = json.loads(capsys.readouterr().out)
    assert Path(told["archive"]).is_file()
    assert Path(told["folder"]).parent == home / "export"
    metadata = json.loads((Path(told["folder"]) / "metadata.json").read_text())
    assert metadata["scheme"] == "ptq_int8"
