"""The exported graph: what it computes, what it looks like, what it refuses."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from ecgexp.errors import ExportError
from ecgexp.quantization.export import OPSET, export_onnx
from ecgexp.quantization.reference import run_onnx
from ecgexp.types import SignalSpec


def load(path: Path) -> onnx.ModelProto:
    return onnx.load(path)


def test_computes_what_torch_computes(example: Any) -> None:
    with torch.no_grad():
        expected = example.network.eval()(torch.from_numpy(example.x)).numpy()
    np.testing.assert_allclose(run_onnx(example.float_onnx, example.x), expected, atol=2e-5)


def test_borders_and_metadata(example: Any) -> None:
    model = load(example.float_onnx)
    shapes = [
        (value.name, [axis.dim_value for axis in value.type.tensor_type.shape.dim])
        for value in (*model.graph.input, *model.graph.output)
    ]
    assert shapes == [("x", [1, 2, 101]), ("logits", [1, 3])]
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", OPSET)]
    properties = {entry.key: entry.value for entry in model.metadata_props}
    assert json.loads(properties["labels"]) == ["N", "S,V", "F"]
    assert json.loads(properties["leads"]) == ["I", "II"]
    assert properties["fs_hz"] == "100"


def test_graph_holds_nothing_a_device_would_not_like(example: Any) -> None:
    graph = load(example.float_onnx).graph
    kinds = {node.op_type for node in graph.node}
    assert kinds == {"Conv", "Clip", "MaxPool", "ReduceMean", "Mul", "Add", "Gemm"}
    for node in graph.node:
        attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        if node.op_type == "MaxPool":
            assert "ceil_mode" not in attributes
            assert attributes["pads"] in ([0, 0], [0, 1])
    stem = {a.name: onnx.helper.get_attribute_value(a) for a in graph.node[0].attribute}
    assert stem["pads"] == [3, 4]


def test_gate_became_a_clip_between_zero_and_one(example: Any) -> None:
    model = load(example.float_onnx)
    constants = {v.name: onnx.numpy_helper.to_array(v) for v in model.graph.initializer}
    bounds = [
        tuple(float(constants[name]) for name in node.input[1:])
        for node in model.graph.node
        if node.op_type == "Clip"
    ]
    assert bounds.count((0.0, 1.0)) == 3
    assert set(bounds) == {(0.0, 1.0), (0.0, 6.0)}


def test_leaves_the_network_as_it_was(example: Any, tmp_path: Path) -> None:
    network = example.network.train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    export_onnx(network, example.spec, tmp_path / "again.onnx")
    assert network.training
    for name, value in network.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)


def test_is_reproducible_and_names_no_folder(example: Any, tmp_path: Path) -> None:
    again = export_onnx(example.network, example.spec, tmp_path / "again.onnx").read_bytes()
    assert again == example.float_onnx.read_bytes()
    assert b"ecgexp/" not in again
    assert str(Path(__file__).parents[2]).encode() not in again


def test_is_quiet(
    example: Any,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    recwarn: pytest.WarningsRecorder,
) -> None:
    with caplog.at_level(logging.INFO):
        export_onnx(example.network, example.spec, tmp_path / "net.onnx")
    assert {record.name.split(".")[0] for record in caplog.records} == {"ecgexp"}
    captured = capfd.readouterr()
    assert "torch" not in captured.out + captured.err
    assert not recwarn.list


def test_refuses_a_diverged_network(example: Any, tmp_path: Path) -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(202, 3))
    with torch.no_grad():
        network[1].weight[1, 2] = torch.nan
    with pytest.raises(ExportError, match=r"weight 1\.weight .* not finite: training diverged"):
        export_onnx(network, example.spec, tmp_path / "net.onnx")
    assert not list(tmp_path.iterdir())


class Branching(nn.Module):
    """Control flow on a value, which cannot be traced."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.sum(-1) if x.sum() > 0 else x.mean(-1)


def test_refuses_a_network_that_cannot_be_traced(tmp_path: Path) -> None:
    spec = SignalSpec(fs_hz=1.0, leads=("a", "b"), n_samples=8, labels=("c", "d"))
    with pytest.raises(ExportError, match="Branching cannot be exported to ONNX"):
        export_onnx(Branching(), spec, tmp_path / "net.onnx")
    assert not list(tmp_path.iterdir())


class Modal(nn.Module):
    """Computes something else while it is traced."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = x.mean(-1)
        return y + 1.0 if torch.compiler.is_exporting() else y


def test_refuses_an_export_that_computes_something_else(tmp_path: Path) -> None:
    spec = SignalSpec(fs_hz=1.0, leads=("a", "b"), n_samples=8, labels=("c", "d"))
    with pytest.raises(ExportError, match="differs from the trained one by 1 in a logit"):
        export_onnx(Modal(), spec, tmp_path / "net.onnx")
    assert not list(tmp_path.iterdir())


class NormBehindRelu(nn.Module):
    """A normalisation that no convolution in front of it can take, and pooling with gaps."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(2, 4, 3, padding=1)
        self.norm = nn.BatchNorm1d(4)
        self.norm.weight.data = torch.tensor([1.5, -0.5, 2.0, -1.0])
        self.norm.bias.data = torch.tensor([0.1, 0.2, -0.3, 0.0])
        self.norm.running_mean = torch.tensor([0.5, 0.1, 0.2, 0.3])
        self.head = nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.norm(torch.relu(self.conv(x)))
        pooled = nn.functional.max_pool1d(y, 2, 3, ceil_mode=True)
        logits: torch.Tensor = self.head(pooled.mean(-1))
        return logits


@pytest.mark.parametrize("n_samples", [30, 31, 32])
def test_a_norm_behind_a_rectifier_becomes_a_depthwise_convolution(
    n_samples: int, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    network = NormBehindRelu().eval()
    spec = SignalSpec(fs_hz=100.0, leads=("I", "II"), n_samples=n_samples, labels=("a", "b", "c"))
    path = export_onnx(network, spec, tmp_path / "net.onnx")
    x = torch.randn(5, 2, n_samples)
    with torch.no_grad():
        expected = network(x).numpy()
    np.testing.assert_allclose(run_onnx(path, x.numpy()), expected, atol=2e-5)
    kinds = [node.op_type for node in load(path).graph.node]
    assert kinds == ["Conv", "Relu", "Conv", "MaxPool", "ReduceMean", "Gemm"]
