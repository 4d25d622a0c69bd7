from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from ecgexp.errors import ConfigError
from ecgexp.quantization.export import export_onnx
from ecgexp.quantization.ptq import StaticInt8
from ecgexp.quantization.qat.network import LayerBits, QuantizedNetwork
from ecgexp.quantization.qat.quantizer import MixedPrecision
from ecgexp.quantization.sensitivity import Sensitivity, assign, measure, write_table
from ecgexp.report.sensitivity import draw_sensitivity
from ecgexp.types import SignalSpec

SPEC = SignalSpec(fs_hz=100.0, leads=("II",), n_samples=200, labels=("A", "B", "C"))
PTQ = StaticInt8(
    n_calibration=16, method="minmax", percentile=99.9, equalize=False, bias_correction=False,
    tie_free=True, sensitivity=0, max_drop=None,
)  # fmt: skip


def graphs(folder: Path) -> tuple[onnx.ModelProto, onnx.ModelProto, np.ndarray]:
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv1d(1, 8, 7), nn.ReLU(), nn.Conv1d(8, 8, 5), nn.ReLU(), nn.Flatten(),
        nn.Linear(8 * 190, 3),
    ).eval()  # fmt: skip
    x = np.random.default_rng(0).normal(size=(32, 1, 200)).astype(np.float32)
    plain = export_onnx(net, SPEC, folder / "float.onnx")
    int8 = PTQ.quantize(plain, x[:16], folder / "int8.onnx")
    source = PTQ.prepare(plain, x[:16], folder / "prepared.onnx")
    return onnx.load(int8), onnx.load(source), x


def test_fewer_bits_lose_more_by_six_decibels_each(tmp_path: Path) -> None:
    quantized, source, x = graphs(tmp_path)
    y = np.zeros(32, np.int64)
    rows = measure(quantized, source, x, y, (8, 6, 4), answers=lambda logits: logits.argmax(1))
    by_layer: dict[str, list[Sensitivity]] = {}
    for row in rows:
        by_layer.setdefault(row.layer, []).append(row)
    assert [len(found) for found in by_layer.values()] == [3, 3, 3]
    for eight, six, four in by_layer.values():
        assert (eight.bits, six.bits, four.bits) == (8, 6, 4)
        assert eight.weight_sqnr_db - six.weight_sqnr_db == pytest.approx(12, abs=3)
        assert six.weight_sqnr_db - four.weight_sqnr_db == pytest.approx(11, abs=4)
        assert eight.error < six.error < four.error
    table = list(csv.DictReader(write_table(rows, tmp_path / "s.csv").open()))
    assert float(table[0]["weight_sqnr_db"]) == rows[0].weight_sqnr_db
    assert draw_sensitivity(rows, tmp_path / "s.png").stat().st_size > 5000


def row(layer: str, bits: int, n_values: int, error: float) -> Sensitivity:
    return Sensitivity(
        layer=layer, bits=bits, n_values=n_values, weight_sqnr_db=0.0, logits_sqnr_db=0.0,
        error=error, accuracy=0.0,
    )  # fmt: skip


def test_the_least_harmful_layers_are_narrowed() -> None:
    rows = [
        row("a", 8, 100, 0.0), row("a", 4, 100, 9.0), row("b", 8, 100, 0.0),
        row("b", 4, 100, 1.0), row("c", 8, 100, 0.0), row("c", 4, 100, 2.0),
    ]  # fmt: skip
    for spent in (0.0, 40.0):
        chosen = {r.match: r.bits for r in assign(rows, 200 + int(spent), spent_bytes=spent)}
        assert chosen == {"a": 8, "b": 4, "c": 4}
    assert {rule.bits for rule in assign(rows, 300, spent_bytes=0.0)} == {8}
    with pytest.raises(ConfigError, match=r"budget_bytes=149: .* the weights take 150 bytes"):
        assign(rows, 149, spent_bytes=0.0)
    with pytest.raises(ConfigError, match=r"budget_bytes=180: .* the weights take 200 bytes"):
        assign(rows, 180, spent_bytes=50.0)


def test_few_bits_start_from_the_best_step(tmp_path: Path) -> None:
    quantized, source, _ = graphs(tmp_path)
    rule = (LayerBits(match="*", bits=3),)
    network = QuantizedNetwork(quantized, source, rule)
    name = next(iter(network.weights))
    exact = network.float_weight(name)
    peak = np.abs(exact).max(axis=(1, 2), keepdims=True)
    plain = np.clip(np.rint(exact / (peak / 3)), -3, 3) * peak / 3
    own = network.rounded_weight(name).numpy()
    assert np.square(own - exact).sum() <= np.square(plain - exact).sum()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"widths": [8, 1]}, r"quantization\.widths=\[8, 1\]: use whole numbers 2 to 8"),
        ({"widths": []}, r"quantization\.widths=\[\]: write the widths"),
        ({"budget_bytes": 0}, r"quantization\.budget_bytes=0: use 1 or more"),
        ({"max_epochs": 0}, r"quantization\.max_epochs=0: use 1 or more"),
    ],
)
def test_bad_options(change: dict[str, object], message: str) -> None:
    options = {
        "start": PTQ, "layers": [], "widths": [8, 4], "budget_bytes": None, "n_windows": 8,
        "max_epochs": 1, "optimizer": None,
    }  # fmt: skip
    with pytest.raises(ConfigError, match=message):
        MixedPrecision(**{**options, **change})
