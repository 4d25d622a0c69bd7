"""The exporter's promises about files: errors, whole or nothing, the same bytes every time."""

from __future__ import annotations

import hashlib
import json
import shutil
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from ecgexp.config.build import build
from ecgexp.config.compose import compose
from ecgexp.deploy.export import exporter as exporter_module
from ecgexp.deploy.export.exporter import Exporter
from ecgexp.errors import BuildError, ConfigError
from ecgexp.quantization.bundle import bundle_from_onnx
from tests.deploy import nets
from tests.deploy.export.conftest import OPTIONS, Export, Unpack


def test_default_options_build() -> None:
    exporter = build(compose("export").config["export"], path="export")
    assert isinstance(exporter, Exporter)
    assert exporter.codegen == "object"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"prefix": "3lead"}, r"export\.prefix='3lead': write the beginning of a C identifier"),
        ({"prefix": "a-b"}, r"export\.prefix='a-b'"),
        ({"prefix": ""}, r"export\.prefix=''"),
        ({"prefix": "_x"}, r"export\.prefix='_x'"),
        ({"prefix": "é"}, r"export\.prefix='é'"),
        ({"prefix": 7}, r"export\.prefix=7"),
        ({"prefix": "a" * 33}, r"32 at most"),
        ({"codegen": "rust"}, r"export\.codegen='rust': use one of object, c"),
        ({"archive": "rar"}, r"export\.archive='rar': use one of tar\.gz, zip"),
        ({"n_golden": 0}, r"export\.n_golden=0: write 1 or more"),
        ({"allow_float_ops": -1}, r"export\.allow_float_ops=-1: write 0 or more"),
    ],
)
def test_faulty_options_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Exporter(**{**OPTIONS, **changes})


def test_nothing_that_is_there_is_replaced(tmp_path: Path) -> None:
    exporter = Exporter(**OPTIONS)
    (tmp_path / "out").mkdir()
    with pytest.raises(ConfigError, match=r"out is there already; remove it or choose another"):
        exporter.require_free(tmp_path / "out")
    (tmp_path / "other.tar.gz").write_text("")
    with pytest.raises(ConfigError, match=r"other\.tar\.gz is there already"):
        exporter.require_free(tmp_path / "other")


def test_place_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"cannot be written: .*; choose another output"):
        Exporter(**OPTIONS).require_free(tmp_path / "file" / "out")
    with pytest.raises(ConfigError, match=r"cannot be written: "):
        Exporter(**OPTIONS).require_free(Path("/proc/ecgexp/out"))


@pytest.mark.parametrize("fault", [BuildError("x"), KeyboardInterrupt()])
def test_failure_leaves_nothing_behind(
    fault: BaseException, export: Export, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise fault

    monkeypatch.setattr(exporter_module, "write_archive", fail)
    with pytest.raises(type(fault)):
        export(output="place/out")
    assert list((tmp_path / "place").iterdir()) == []


@pytest.mark.parametrize("kind", ["tar.gz", "zip"])
def test_archive_is_the_folder_and_the_same_every_time(kind: str, export: Export) -> None:
    first = export(archive=kind, output="one")
    second = export(archive=kind, output="two")
    assert first.archive.name == f"one.{kind}"
    assert first.archive.read_bytes() == second.archive.read_bytes()
    assert first.archive_sha256 == hashlib.sha256(first.archive.read_bytes()).hexdigest()
    if kind == "zip":
        with zipfile.ZipFile(first.archive) as packed:
            content = {name: packed.read(name) for name in packed.namelist()}
    else:
        with tarfile.open(first.archive) as packed_tar:
            members = packed_tar.getmembers()
            content = {m.name: packed_tar.extractfile(m).read() for m in members}  # type: ignore[union-attr]
    folder = first.folder
    on_disk = {
        f"afib_model/{path.relative_to(folder).as_posix()}": path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }
    assert content == on_disk


def test_metadata_tells_what_a_deploy_has_measured(tmp_path: Path, onnx_of: Any) -> None:
    onnx = onnx_of("squeeze_excite")
    bundle = bundle_from_onnx(onnx, None, tmp_path / "bundle", seed=1, n_golden=4)
    exporter = Exporter(**{**OPTIONS, "codegen": "object"})

    def layers(profile: Path | None, name: str) -> list[dict[str, Any]]:
        folder = exporter.export(bundle, nets.HOST, tmp_path / name, profile).folder
        found: list[dict[str, Any]] = json.loads((folder / "metadata.json").read_text())["layers"]
        return found

    symbols = [layer["symbol"].replace("afib_", "ecgexp_", 1) for layer in layers(None, "plain")]
    calls = {symbol: symbols.count(symbol) for symbol in symbols}
    rows = [f"{s},{n},0,{100 * n * (i + 1)},,op" for i, (s, n) in enumerate(calls.items())]
    profile = tmp_path / "profile.csv"
    header = "function,calls,macs,instructions,cycles_est,operators"
    profile.write_text("\n".join([header, *rows, "ecgexp_model_run,0,0,7,,"]) + "\n")
    counts = [layer["instructions"] for layer in layers(profile, "measured")]
    assert counts == [100 * (list(calls).index(symbol) + 1) for symbol in symbols]
    profile.write_text("\n".join([header, *rows[1:]]) + "\n")
    assert all("instructions" not in layer for layer in layers(profile, "other"))


def test_metadata_describes_the_library(export: Export) -> None:
    exported = export()
    metadata = json.loads((exported.folder / "metadata.json").read_text())
    assert metadata["codegen"] == "c"
    assert metadata["input"]["shape"] == [1, 1, 40]
    assert metadata["macs"] == sum(layer["macs"] for layer in metadata["layers"])
    assert metadata["arena_bytes"] % 16 == 0
    assert metadata["output"]["labels"] == ["class_0", "class_1", "class_2"]
    hashes = metadata["files"]
    others = {p for p in exported.folder.rglob("*") if p.is_file() and p.name != "metadata.json"}
    assert {exported.folder / name for name in hashes} == others
    for name, expected in hashes.items():
        assert hashlib.sha256((exported.folder / name).read_bytes()).hexdigest() == expected


@pytest.mark.parametrize("codegen", ["c", "object"])
def test_project_files_name_files_that_are_there(codegen: str, export: Export) -> None:
    folder = export(codegen=codegen).folder
    layer = yaml.safe_load((folder / "cmsis/afib_model.clayer.yml").read_text())["layer"]
    project = yaml.safe_load((folder / "cmsis/afib_golden.cproject.yml").read_text())["project"]
    solution = yaml.safe_load((folder / "cmsis/afib_model.csolution.yml").read_text())["solution"]
    assert solution["target-types"][0]["device"] == "ARMCM55"
    named = [
        entry["file"] for part in (layer, project) for g in part["groups"] for entry in g["files"]
    ]
    named += [path for part in (layer, project) for g in part["groups"] for path in g["add-path"]]
    named += [entry["layer"] for entry in project["layers"]]
    named += [entry["project"] for entry in solution["projects"]]
    assert len(named) >= 8
    for name in named:
        assert (folder / "cmsis" / name).exists(), name
    module = yaml.safe_load((folder / "zephyr/module.yml").read_text())
    assert (folder / module["build"]["cmake"] / "CMakeLists.txt").is_file()
    assert (folder / module["build"]["kconfig"]).is_file()


def test_no_word_is_left_open_and_no_path_of_this_machine_leaks(
    export: Export, tmp_path: Path
) -> None:
    folder = export(codegen="object").folder
    for path in folder.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert b"@prefix@" not in content.lower(), path.name
            assert str(tmp_path).encode() not in content, path.name


def test_missing_compiler_is_named(export: Export, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(BuildError, match=r"cc is not on PATH.*apt-get install gcc"):
        export(codegen="object")


def test_unpacked_archive_has_one_folder(export: Export, unpack: Unpack) -> None:
    assert unpack(export(prefix="ecg2", archive="zip")).name == "ecg2_model"
