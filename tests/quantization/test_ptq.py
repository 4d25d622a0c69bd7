"""The quantizer: shape of the graph, determinism, silence, and bad calibration data."""

from __future__ import annotations

import logging
import os
import stat
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from ecgexp.errors import ConfigError, ExportError
from ecgexp.quantization.export import export_onnx
from ecgexp.quantization.none import NoQuantization
from ecgexp.quantization.ptq import StaticInt8
from ecgexp.quantization.reference import run_onnx
from ecgexp.types import SignalSpec

OPTIONS = {
    "n_calibration": 8,
    "method": "minmax",
    "percentile": 99.9,
    "equalize": False,
    "bias_correction": False,
    "tie_free": True,
    "sensitivity": 0,
    "max_drop": None,
}


def test_every_operator_is_int8(example: Any) -> None:
    model = onnx.load(example.int8_onnx)
    counts = Counter(node.op_type for node in model.graph.node)
    # Every clip is gone: saturation of the int8 grid does its work.
    assert "Clip" not in counts
    assert "Relu" not in counts
    operators = sum(counts.values()) - counts["QuantizeLinear"] - counts["DequantizeLinear"]
    assert counts["QuantizeLinear"] == operators + 1
    kinds = {
        value.data_type for value in model.graph.initializer if value.name.endswith("_quantized")
    }
    assert kinds == {TensorProto.INT8, TensorProto.INT32}


def test_weights_have_a_scale_per_channel_and_bias_their_product(example: Any) -> None:
    model = onnx.load(example.int8_onnx)
    constants = {v.name: numpy_helper.to_array(v) for v in model.graph.initializer}
    made_by = {name: node for node in model.graph.node for name in node.output}
    for node in model.graph.node:
        if node.op_type != "Conv":
            continue
        activation, weight, bias = (made_by[name] for name in node.input)
        scale = constants[weight.input[1]]
        assert scale.shape == (constants[weight.input[0]].shape[0],)
        assert not np.any(constants[weight.input[2]])
        np.testing.assert_array_equal(
            constants[bias.input[1]], constants[activation.input[1]] * scale
        )


def test_pooling_keeps_the_scale(example: Any) -> None:
    model = onnx.load(example.int8_onnx)
    made_by = {name: node for node in model.graph.node for name in node.output}
    after = {n.input[0]: n for n in model.graph.node if n.op_type == "QuantizeLinear"}
    constants = {v.name: numpy_helper.to_array(v) for v in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "MaxPool":
            for before, behind in zip(
                made_by[node.input[0]].input[1:], after[node.output[0]].input[1:], strict=True
            ):
                assert constants[before] == constants[behind]


def test_answers_stay_close_to_float(example: Any) -> None:
    reference, quantized = (
        run_onnx(path, example.x) for path in (example.float_onnx, example.int8_onnx)
    )
    assert np.abs(quantized - reference).max() < 0.5 * reference.std()
    assert np.mean(quantized.argmax(1) == reference.argmax(1)) > 0.9


def test_keeps_borders_and_metadata(example: Any) -> None:
    before, after = onnx.load(example.float_onnx), onnx.load(example.int8_onnx)
    assert after.graph.input == before.graph.input
    assert [value.name for value in after.graph.output] == ["logits"]
    assert after.metadata_props == before.metadata_props
    assert [entry.domain for entry in after.opset_import] == [""]


def test_is_deterministic(example: Any, quantizer: StaticInt8, tmp_path: Path) -> None:
    again = quantizer.quantize(example.float_onnx, example.calibration, tmp_path / "again.onnx")
    assert again.read_bytes() == example.int8_onnx.read_bytes()


@pytest.mark.parametrize("method", ["minmax", "percentile", "entropy"])
def test_is_quiet_and_leaves_nothing_behind(
    example: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    method: str,
) -> None:
    scratch, nowhere, out = (tmp_path / name for name in ("scratch", "nowhere", "out"))
    for folder in (scratch, nowhere, out):
        folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    monkeypatch.chdir(nowhere)
    nowhere.chmod(stat.S_IRUSR | stat.S_IXUSR)
    with caplog.at_level(logging.DEBUG):
        StaticInt8(**{**OPTIONS, "method": method}).quantize(
            example.float_onnx, example.calibration, out / "int8.onnx"
        )
    captured = capfd.readouterr()
    assert captured.out == ""
    assert "quant" not in captured.err.replace("ecgexp.quantization", "")
    assert {record.name for record in caplog.records} == {"ecgexp.quantization.ptq"}
    assert [record.levelname for record in caplog.records] == ["INFO"]
    assert os.listdir(scratch) == os.listdir(nowhere) == []
    assert os.listdir(out) == ["int8.onnx"]


class Dead(nn.Module):
    """A rectifier that no calibration window wakes."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv1d(1, 2, 3, padding=1)
        self.second = nn.Conv1d(2, 2, 3, padding=1)
        self.head = nn.Linear(2, 2)
        nn.init.constant_(self.first.weight, 0.1)
        nn.init.constant_(self.first.bias, -50.0)
        nn.init.constant_(self.second.weight, 1.0)
        nn.init.constant_(self.second.bias, 1.0)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = nn.functional.relu(self.second(nn.functional.relu(self.first(x))))
        return self.head(y.mean(-1))


@pytest.mark.parametrize("tie_free", [True, False])
def test_a_silent_rectifier_still_rectifies(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, tie_free: bool
) -> None:
    spec = SignalSpec(fs_hz=1.0, leads=("a",), n_samples=16, labels=("b", "c"))
    torch.manual_seed(0)
    float_onnx = export_onnx(Dead().eval(), spec, tmp_path / "float.onnx")
    x = np.random.default_rng(0).standard_normal((8, 1, 16)).astype(np.float32)
    quantizer = StaticInt8(**{**OPTIONS, "tie_free": tie_free})
    int8 = quantizer.quantize(float_onnx, x, tmp_path / "int8.onnx")
    assert "rectifiers that gave only zeros on 8 calibration windows: 1;" in caplog.text
    np.testing.assert_allclose(run_onnx(int8, x), run_onnx(float_onnx, x), atol=0.05)


def test_softmax_at_the_end_stays_in_float(tmp_path: Path) -> None:
    spec = SignalSpec(fs_hz=1.0, leads=("a",), n_samples=16, labels=("b", "c"))
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(16, 2), nn.Softmax(-1))
    float_onnx = export_onnx(network, spec, tmp_path / "float.onnx")
    x = np.random.default_rng(0).standard_normal((8, 1, 16)).astype(np.float32)
    int8 = StaticInt8(**OPTIONS).quantize(float_onnx, x, tmp_path / "int8.onnx")
    nodes = onnx.load(int8).graph.node
    assert [node.op_type for node in nodes][-2:] == ["DequantizeLinear", "Softmax"]
    np.testing.assert_allclose(run_onnx(int8, x), run_onnx(float_onnx, x), atol=0.05)


def test_refuses_what_would_stay_in_float(tmp_path: Path) -> None:
    graph = helper.make_graph(
        [
            helper.make_node("ArgMax", ["x"], ["top"], axis=-1, keepdims=0, name="top_class"),
            helper.make_node("Cast", ["top"], ["logits"], to=TensorProto.FLOAT, name="as_float"),
        ],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 2, 8])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, 2])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
    model.ir_version = 10
    onnx.save(model, tmp_path / "float.onnx")
    x = np.random.default_rng(0).standard_normal((4, 2, 8)).astype(np.float32)
    with pytest.raises(ExportError, match=r"out\.onnx: stayed in float .*ArgMax \(top_class\)"):
        StaticInt8(**OPTIONS).quantize(tmp_path / "float.onnx", x, tmp_path / "out.onnx")
    assert not (tmp_path / "out.onnx").exists()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda x: np.full_like(x, 0.5), r"all 48 calibration windows are constant \(0\.5\)"),
        (lambda x: np.where(x > 3, np.nan, x), r"of 48 calibration windows hold NaN or infinity"),
        (lambda x: x[:0], r"shape \(0, 2, 101\), float\.onnx takes \(at least one, 2, 101\)"),
        (lambda x: x[:, :1], r"calibration windows have shape \(48, 1, 101\)"),
    ],
    ids=["constant", "nan", "none", "one lead"],
)
def test_refuses_bad_calibration(
    example: Any, quantizer: StaticInt8, tmp_path: Path, spoil: Any, message: str
) -> None:
    with pytest.raises(ExportError, match=message):
        quantizer.quantize(example.float_onnx, spoil(example.calibration), tmp_path / "never.onnx")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("n_calibration", 0, r"quantization\.n_calibration=0: write at least 1"),
        ("method", "max", r"quantization\.method='max': write one of \['entropy', 'minmax'"),
        ("percentile", 0.999, r"quantization\.percentile=0\.999: write a number above 50"),
        ("max_drop", 2, r"quantization\.max_drop=2: write null or a fraction 0\.\.1"),
    ],
)
def test_refuses_a_wrong_option(key: str, value: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        StaticInt8(**{**OPTIONS, key: value})


def test_none_hands_the_float_network_on(
    example: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    scheme = NoQuantization()
    with caplog.at_level(logging.INFO):
        out = scheme.quantize(example.float_onnx, example.calibration, tmp_path / "model.onnx")
    assert out.read_bytes() == example.float_onnx.read_bytes()
    assert (scheme.scheme, scheme.n_calibration, scheme.max_drop) == ("none", 0, None)
    assert "deployed as it is" in caplog.text
