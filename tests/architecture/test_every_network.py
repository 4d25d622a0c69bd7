"""One battery for every network in conf/architecture."""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
import yaml

import ecgexp.architecture
from ecgexp.architecture.size import measure_size
from ecgexp.config.build import build
from ecgexp.quantization.export import export_onnx
from ecgexp.quantization.reference import run_onnx
from ecgexp.resources import resource_folder
from ecgexp.types import SignalSpec

OPTIONS = sorted(
    path.stem for path in (resource_folder("conf") / "architecture").glob("[!_]*.yaml")
)

# (option, leads x samples, classes) -> trainable, statistics, multiply-accumulates
GOLDEN = {
    ("cnn_small", "1x256", 3): (10_411, 240, 170_176),
    ("cnn_small", "12x1000", 5): (11_861, 240, 1_987_904),
    ("efficientnetv2_1d", "1x256", 3): (30_815, 1_280, 246_944),
    ("efficientnetv2_1d", "12x1000", 5): (33_385, 1_280, 2_137_568),
}


def option(name: str) -> dict:
    path = resource_folder("conf") / "architecture" / f"{name}.yaml"
    return yaml.safe_load(path.read_text())


@pytest.fixture(params=OPTIONS)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def network(name: str, spec: SignalSpec) -> torch.nn.Module:
    torch.manual_seed(0)
    return build(option(name), path="architecture", spec=spec)


def test_answers_finite_logits(network: torch.nn.Module, spec: SignalSpec) -> None:
    logits = network(torch.randn(3, spec.n_leads, spec.n_samples))
    assert logits.shape == (3, spec.n_classes)
    assert torch.isfinite(logits).all()


def test_gradient_reaches_every_parameter(network: torch.nn.Module, spec: SignalSpec) -> None:
    logits = network(torch.randn(8, spec.n_leads, spec.n_samples))
    torch.nn.functional.cross_entropy(logits, torch.arange(8) % spec.n_classes).backward()
    for parameter_name, parameter in network.named_parameters():
        assert parameter.grad is not None, parameter_name
        assert torch.isfinite(parameter.grad).all(), parameter_name
        assert parameter.grad.abs().sum() > 0, parameter_name


def test_one_window_does_not_see_another(network: torch.nn.Module, spec: SignalSpec) -> None:
    x = torch.randn(4, spec.n_leads, spec.n_samples)
    network.eval()
    with torch.no_grad():
        together, alone = network(x), torch.cat([network(window[None]) for window in x])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)


def test_size_is_the_recorded_one(name: str, network: torch.nn.Module, spec: SignalSpec) -> None:
    size = measure_size(network, spec)
    key = (name, f"{spec.n_leads}x{spec.n_samples}", spec.n_classes)
    assert (size.trainable, size.statistics, size.macs) == GOLDEN[key]


def test_exports_what_it_computes(
    network: torch.nn.Module, spec: SignalSpec, tmp_path: Path
) -> None:
    x = torch.randn(6, spec.n_leads, spec.n_samples)
    with torch.no_grad():
        for _ in range(5):
            network(2.0 * torch.randn(16, spec.n_leads, spec.n_samples))
        expected = network.eval()(x).numpy()
    path = export_onnx(network, spec, tmp_path / "net.onnx")
    np.testing.assert_allclose(run_onnx(path, x.numpy()), expected, atol=1e-4, rtol=1e-4)
    kinds = {node.op_type for node in onnx.load(path).graph.node}
    assert kinds <= {"Conv", "Relu", "Clip", "MaxPool", "ReduceMean", "Mul", "Add", "Gemm"}


def test_every_module_file_is_an_option() -> None:
    folder = Path(ecgexp.architecture.__file__).parent
    shared = {"__init__", "blocks", "layout", "size"}
    files = {path.stem for path in folder.glob("*.py")} - shared
    assert files == set(OPTIONS)
    for stem in files:
        tree = ast.parse((folder / f"{stem}.py").read_text())
        classes = {node.name for node in tree.body if isinstance(node, ast.ClassDef)}
        module, _, class_name = option(stem)["_target_"].rpartition(".")
        assert module == f"ecgexp.architecture.{stem}"
        assert class_name in classes


def test_every_option_is_in_the_golden_table() -> None:
    assert {key[0] for key in GOLDEN} == set(OPTIONS)


@pytest.mark.parametrize("file", OPTIONS)
def test_option_holds_no_interpolation(file: str) -> None:
    text = (resource_folder("conf") / "architecture" / f"{file}.yaml").read_text()
    assert "${" not in text
    assert text.startswith("# ")
    assert f"architecture={file}" in text.splitlines()[0]
