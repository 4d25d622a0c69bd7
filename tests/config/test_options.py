"""Every option of every group composes, binds and builds; every experiment says what it changes."""

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from ecgexp.config.build import build
from ecgexp.config.compose import Job, compose, dotted_keys
from ecgexp.config.validate import validate
from ecgexp.resources import resource_folder
from ecgexp.types import SignalSpec

CONF = resource_folder("conf")
OVERLAYS = ("experiment", "debug")
OPTIONS = sorted(
    (path.parent.relative_to(CONF).as_posix(), path.stem)
    for path in CONF.rglob("*.yaml")
    if path.parent != CONF and not path.stem.startswith("_")
)
GROUPS = sorted({group for group, _ in OPTIONS})
SPEC = SignalSpec(fs_hz=100.0, leads=("MLII",), n_samples=500, labels=("a", "b", "c"))
IMAGES = replace(SPEC, n_rows=50)
OVER_IMAGES = {"cnn_scalogram_small", "efficientnet_b0"}
SEVERAL = replace(SPEC, several=True)


# One objective, and a space that a grid can cover.
SEARCHES = {"cmaes": ["search=smoke"], "grid": ["search=mitdb_presets"]}


def composed(group: str, option: str) -> Job:
    primary = "search" if group.split("/")[0] == "search" else "config"
    words = SEARCHES.get(option, []) if group == "search/sampler" else []
    return compose(primary, [*words, f"{group}={option}"])


def test_every_folder_of_conf_is_a_group_with_options() -> None:
    folders = {path.name for path in CONF.iterdir() if path.is_dir()}
    assert folders - set(GROUPS) <= {"experiment"}
    primary = "".join((CONF / name).read_text() for name in ("config.yaml", "search.yaml"))
    for folder in folders:
        assert f"- {folder}: " in primary, f"conf/{folder} is not in the defaults list"


@pytest.mark.parametrize(("group", "option"), OPTIONS, ids=lambda value: str(value))
def test_option_composes_and_binds(group: str, option: str) -> None:
    validate(composed(group, option))


@pytest.mark.parametrize(("group", "option"), OPTIONS, ids=lambda value: str(value))
def test_option_starts_with_what_it_is_and_a_command(group: str, option: str) -> None:
    lines = (CONF / group / f"{option}.yaml").read_text().splitlines()
    comment = lines[1] if lines[0].startswith("# @package") else lines[0]
    assert comment.startswith("# "), comment
    assert f"{group}={option}" in comment, f"no command that uses it: {comment}"


@pytest.mark.parametrize(
    ("group", "option"),
    [pair for pair in OPTIONS if pair[0] not in (*OVERLAYS, "dataset", "tracking")],
    ids=lambda value: str(value),
)
def test_option_builds(group: str, option: str, tmp_path: Path) -> None:
    job = composed(group, option)
    # A sampler or pruner is built by the search that has it.
    group = group.split("/")[0]
    node = job.config[group]
    runtime = {
        "architecture": {"spec": IMAGES if option in OVER_IMAGES else SPEC},
        "objective": {
            "spec": SEVERAL if option == "multilabel" else SPEC,
            "class_counts": (5, 7, 9),
        },
        "trainer": {"callbacks": [], "logger": False, "default_root_dir": str(tmp_path)},
    }
    if group == "callbacks":
        for name, callback in node.items():
            takes_folder = name.endswith("_checkpoint")
            build(callback, path=name, **({"folder": tmp_path} if takes_folder else {}))
        return
    if (group, option) == ("trainer", "gpu"):
        torch = pytest.importorskip("torch")
        if not torch.cuda.is_available():
            pytest.skip("no GPU on this machine")
    build(node, path=group, **runtime.get(group, {}))


@pytest.mark.parametrize(
    ("group", "option"), [pair for pair in OPTIONS if pair[0] in OVERLAYS], ids=lambda v: str(v)
)
def test_overlay_changes_what_it_says_and_the_command_line_is_stronger(
    group: str, option: str
) -> None:
    """No dead override: each leaf of the file differs from the default."""
    overlay = yaml.safe_load((CONF / group / f"{option}.yaml").read_text())
    own = {key: value for key, value in overlay.items() if key != "defaults"}
    groups = [line for line in overlay.get("defaults", []) if isinstance(line, dict)]
    chosen = [
        f"{key.removeprefix('override /')}={value}"
        for line in groups
        for key, value in line.items()
        if key.startswith("override /")
    ]
    without = compose("config", chosen).config
    within = composed(group, option).config
    before = {path: leaf(without, path) for path in dotted_keys(own)}
    before = {path: value for path, value in before.items() if not isinstance(value, dict)}
    for path, value in before.items():
        assert value != leaf(within, path), f"{path} repeats the default"
    back = [f"{path}={'null' if value is None else value}" for path, value in before.items()]
    stronger = compose("config", [f"{group}={option}", *back]).config
    assert {path: leaf(stronger, path) for path in before} == before


def leaf(config: dict, path: str) -> object:
    value: object = config
    for key in path.split("."):
        value = value[key]  # type: ignore[index]
    return value


def test_architecture_files_hold_no_interpolation() -> None:
    files = sorted((CONF / "architecture").glob("*.yaml"))
    assert files
    for path in files:
        assert "${" not in path.read_text(), path.name


@pytest.mark.parametrize("option", [name for group, name in OPTIONS if group == "experiment"])
def test_debug_short_cuts_every_experiment(option: str) -> None:
    job = compose("config", [f"experiment={option}", "debug=short"])
    validate(job)
    assert job.choices["experiment"] == option
    trainer = job.config["trainer"]
    assert (trainer["max_epochs"], trainer["limit_train_batches"]) == (3, 60)
