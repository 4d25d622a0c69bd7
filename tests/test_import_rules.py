"""Imports point down: the layers of the house, and who may import which heavy library."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "ecgexp"
# A layer may import itself and what stands after it.
LAYERS = [
    {"__main__"},
    {"cli"},
    {
        *("sweep", "redeploy", "export", "recordings", "selection", "search", "gather"),
        *("predict", "sync"),
    },
    {"pipeline"},
    {"training", "quantization", "pruning", "deploy", "report"},
    {
        *("architecture", "augmentation", "dataset", "preprocessing", "target", "config"),
        "tracking",
    },
    {"types", "errors", "resources", "doctor", "interrupt"},
]
FORBIDDEN = {"architecture": {"dataset"}, "deploy": {"training", "dataset"}}
ONLY_IN = {
    "mlflow": {"tracking"},
    "tvm": {"deploy"},
    "wfdb": {"dataset"},
    "hydra": {"config", "cli"},
    "omegaconf": {"config", "cli"},
    "optuna": {"search"},
    "plotly": {"search"},
}
FILES = sorted(PACKAGE.rglob("*.py"))


def part_of(path: Path) -> str:
    relative = path.relative_to(PACKAGE)
    return relative.parts[0] if len(relative.parts) > 1 else relative.stem


def imported(path: Path) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found.append(node.module or "")
            found += [f"{node.module}.{alias.name}" for alias in node.names]
    return found


def layer(part: str) -> int:
    return next((i for i, parts in enumerate(LAYERS) if part in parts), -1)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_down(path: Path) -> None:
    part = part_of(path)
    if part == "__init__":
        return
    assert layer(part) >= 0, f"{part} stands in no layer"
    for name in imported(path):
        pieces = name.split(".")
        if pieces[0] == "ecgexp" and len(pieces) > 1 and layer(pieces[1]) >= 0:
            assert layer(pieces[1]) >= layer(part), f"{part} imports {name}, which is above it"
            assert pieces[1] not in FORBIDDEN.get(part, set()), f"{part} imports {name}"
        if pieces[0] in ONLY_IN:
            assert part in ONLY_IN[pieces[0]], f"{pieces[0]} belongs in {ONLY_IN[pieces[0]]}"
