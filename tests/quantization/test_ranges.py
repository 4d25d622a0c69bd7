"""Better ranges, equalised channels, corrected biases: each against what it claims."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from torch import nn

from ecgexp.config.build import build
from ecgexp.config.compose import compose
from ecgexp.quantization.bias import correct_biases
from ecgexp.quantization.equalize import equalize
from ecgexp.quantization.export import export_onnx
from ecgexp.quantization.ptq import StaticInt8
from ecgexp.quantization.ranges import best_range
from ecgexp.quantization.reference import run_onnx
from ecgexp.quantization.spread import measure_spread
from ecgexp.report.spread import channel_ranges
from ecgexp.types import SignalSpec

SPEC = SignalSpec(fs_hz=100.0, leads=("II",), n_samples=400, labels=("A", "B", "C"))


def ptq(**change: object) -> StaticInt8:
    options = {
        "n_calibration": 24, "method": "minmax", "percentile": 99.9, "equalize": False,
        "bias_correction": False, "tie_free": True, "sensitivity": 0, "max_drop": None,
    }  # fmt: skip
    return StaticInt8(**{**options, **change})


def windows(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, 1, 400)).astype(np.float32)


def uneven(name: str, folder: Path) -> Path:
    """Export a network whose channels differ in size by a factor of a hundred."""
    torch.manual_seed(0)
    config = compose("config", [f"architecture={name}"], []).config
    net: nn.Module = build(config["architecture"], path="architecture", spec=SPEC).eval()
    for module in net.modules():
        if isinstance(module, nn.BatchNorm1d):
            nn.init.uniform_(module.running_var, 0.5, 1.5)
            module.weight.data = 10 ** torch.empty_like(module.weight).uniform_(-1.5, 0.0)
    return export_onnx(net, SPEC, folder / "float.onnx")


def squared_error(path: Path, reference: Path) -> float:
    x = windows(40, seed=9)
    return float(np.square(run_onnx(path, x) - run_onnx(reference, x)).mean())


@pytest.mark.parametrize("name", ["cnn_small", "efficientnetv2_1d", "resnet1d", "dscnn"])
def test_equalisation_changes_ranges_and_not_the_function(name: str, tmp_path: Path) -> None:
    source = uneven(name, tmp_path)
    prepared = ptq().prepare(source, windows(24), tmp_path / "prepared.onnx")
    changed, n_links = equalize(onnx.load(prepared), windows(24), tmp_path)
    assert n_links > 0
    onnx.save(changed, tmp_path / "equal.onnx")
    x = windows(8)
    expected = run_onnx(prepared, x)
    assert np.abs(run_onnx(tmp_path / "equal.onnx", x) - expected).max() < 1e-3 * (
        1 + np.abs(expected).max()
    )
    before, after = (
        {i.name: numpy_helper.to_array(i) for i in model.graph.initializer}
        for model in (onnx.load(prepared), changed)
    )
    assert any(not np.allclose(before[key], after[key]) for key in before)


def test_the_picture_of_equalisation_shows_what_it_did(tmp_path: Path) -> None:
    """Weights and outputs as torch has them; behind a depthwise layer channels come together."""
    source = uneven("dscnn", tmp_path)
    rows = {}
    for equalises in (False, True):
        path = ptq(equalize=equalises).prepare(source, windows(24), tmp_path / f"{equalises}.onnx")
        rows[equalises] = measure_spread(onnx.load(path), windows(24), tmp_path)
    prepared = onnx.load(tmp_path / "False.onnx")
    constants = {t.name: numpy_helper.to_array(t) for t in prepared.graph.initializer}
    first = rows[False][0]
    weight = constants[first.layer]
    np.testing.assert_allclose(first.weights, [np.abs(channel).max() for channel in weight])
    conv = next(node for node in prepared.graph.node if first.layer in node.input)
    stride = next(a.ints[0] for a in conv.attribute if a.name == "strides")
    bias = torch.from_numpy(constants[conv.input[2]].copy()) if len(conv.input) > 2 else None
    out = torch.nn.functional.conv1d(
        torch.nn.functional.pad(torch.from_numpy(windows(24)), _sides(conv)),
        torch.from_numpy(weight.copy()), bias, stride,
    )  # fmt: skip
    np.testing.assert_allclose(first.outputs, out.abs().amax(dim=(0, 2)).numpy(), rtol=1e-4)
    ratios = {
        equalised: np.mean([np.log(row.outputs.max() / row.outputs.min()) for row in found])
        for equalised, found in rows.items()
    }
    assert ratios[True] < 0.8 * ratios[False]
    picture = channel_ranges(rows[False], rows[True], tmp_path / "ranges.png")
    assert picture.stat().st_size > 10_000


def _sides(conv: onnx.NodeProto) -> list[int]:
    return next(list(a.ints) for a in conv.attribute if a.name == "pads")


@pytest.mark.parametrize(
    "change", [{"equalize": True}, {"equalize": True, "bias_correction": True, "method": "mse"}]
)
def test_equalisation_mends_uneven_channels(change: dict[str, object], tmp_path: Path) -> None:
    torch.manual_seed(0)
    first, second = nn.Conv1d(1, 16, 7), nn.Conv1d(16, 16, 5)
    factor = torch.logspace(-2, 0, 16)
    with torch.no_grad():
        first.weight *= factor[:, None, None]
        first.bias *= factor
        second.weight /= factor[:, None]
    net = nn.Sequential(
        first, nn.ReLU(), nn.MaxPool1d(4), second, nn.ReLU(), nn.Flatten(), nn.LazyLinear(3)
    )
    net(torch.zeros(1, 1, 400))
    source = export_onnx(net.eval(), SPEC, tmp_path / "float.onnx")
    plain = ptq().quantize(source, windows(24), tmp_path / "plain.onnx")
    better = ptq(**change).quantize(source, windows(24), tmp_path / "better.onnx")
    assert squared_error(better, source) < 0.2 * squared_error(plain, source)


def test_bias_correction_takes_the_mean_error_away(tmp_path: Path) -> None:
    net = nn.Sequential(nn.Conv1d(1, 4, 5, bias=False), nn.ReLU(), nn.Conv1d(4, 8, 1)).eval()
    head = nn.Sequential(net, nn.Flatten(), nn.Linear(8 * 396, 3))
    source = export_onnx(head, SPEC, tmp_path / "float.onnx")
    prepared = ptq().prepare(source, windows(24), tmp_path / "prepared.onnx")
    model = onnx.load(prepared)
    quantized = onnx.load(ptq().quantize(source, windows(24), tmp_path / "int8.onnx"))
    for tensor in quantized.graph.initializer:
        if tensor.name.endswith("weight_quantized"):
            coarse = (numpy_helper.to_array(tensor) // 16 * 16).astype(np.int8)
            tensor.CopyFrom(numpy_helper.from_array(coarse, tensor.name))
    corrected = correct_biases(model, quantized, windows(24), tmp_path)

    second = [n for n in model.graph.node if n.op_type == "Conv"][1]
    weight = second.input[1]
    values = {i.name: numpy_helper.to_array(i) for i in quantized.graph.initializer}
    scale = values[f"{weight}_scale"][:, None, None]
    rounded = values[f"{weight}_quantized"] * scale
    with torch.no_grad():
        hidden = net[1](net[0](torch.from_numpy(windows(24))))
        exact = net[2](hidden).mean((0, 2)).numpy()
        mean = hidden.mean((0, 2)).numpy()
    node = [n for n in corrected.graph.node if n.op_type == "Conv"][1]
    bias = {i.name: numpy_helper.to_array(i) for i in corrected.graph.initializer}[node.input[2]]
    assert rounded[:, :, 0] @ mean + bias == pytest.approx(exact, abs=1e-4)


def test_the_best_range_clips_outliers() -> None:
    values = np.random.default_rng(0).normal(size=40000).astype(np.float32)
    values[0] = 12.0
    chosen = best_range(values)
    scale, point = float(chosen["scale"]), int(chosen["zero_point"])
    assert scale < 0.95 * (12 - values.min()) / 255

    def error(scale: float, point: int) -> float:
        whole = np.clip(np.rint(values / scale) + point, -128, 127)
        return float(np.square((whole - point) * scale - values).mean())

    whole_range = (12 - float(values.min())) / 255
    assert error(scale, point) < error(whole_range, round(-128 - float(values.min()) / whole_range))
    assert int(best_range(np.zeros(5, np.float32))["zero_point"]) == -128
