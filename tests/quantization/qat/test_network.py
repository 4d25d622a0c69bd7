from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from ecgexp.config.build import build
from ecgexp.config.compose import compose
from ecgexp.errors import ConfigError, ExportError
from ecgexp.quantization.export import export_onnx
from ecgexp.quantization.ptq import StaticInt8
from ecgexp.quantization.qat.network import LayerBits, QuantizedNetwork
from ecgexp.quantization.qat.quantizer import output_step
from ecgexp.quantization.reference import run_onnx
from ecgexp.types import SignalSpec

SPEC = SignalSpec(fs_hz=100.0, leads=("II",), n_samples=800, labels=("A", "B", "C"))
PTQ = StaticInt8(
    n_calibration=16,
    method="minmax",
    percentile=99.9,
    equalize=False,
    bias_correction=False,
    tie_free=True,
    sensitivity=0,
    max_drop=None,
)
NETWORKS = (
    "cnn_small", "efficientnetv2_1d", "resnet1d", "tcn", "dscnn", "resnet_hannun_small",
    "cnn_mlii17", "cnn_avh_small",
)  # fmt: skip


def windows(n: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(n, 1, 800)).astype(np.float32)


def quantized(name: str, folder: Path) -> tuple[Path, onnx.ModelProto, onnx.ModelProto]:
    torch.manual_seed(0)
    config = compose("config", [f"architecture={name}"], []).config
    net = build(config["architecture"], path="architecture", spec=SPEC).eval()
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm1d):
            torch.nn.init.uniform_(module.running_var, 0.5, 1.5)
            torch.nn.init.normal_(module.running_mean, 0, 0.2)
    plain = export_onnx(net, SPEC, folder / "float.onnx")
    path = PTQ.quantize(plain, windows(16), folder / "int8.onnx")
    return (
        path,
        onnx.load(path),
        onnx.load(PTQ.prepare(plain, windows(16), folder / "prepared.onnx")),
    )


@pytest.mark.parametrize("name", NETWORKS)
def test_torch_computes_what_onnx_runtime_does(name: str, tmp_path: Path) -> None:
    path, model, source = quantized(name, tmp_path)
    net = QuantizedNetwork(model, source, ())
    x = windows(12)
    with torch.no_grad():
        found = net(torch.from_numpy(x)).numpy()
    difference = np.abs(found - run_onnx(path, x)) / output_step(model)
    # Float sums in another order fall to the other side of a tie now and then.
    assert difference.max() <= 2.0
    assert (difference > 0.5).mean() < 0.1


def test_what_was_trained_is_what_is_written(tmp_path: Path) -> None:
    _, model, source = quantized("efficientnetv2_1d", tmp_path)
    net = QuantizedNetwork(model, source, [LayerBits(match="head.*", bits=4)])
    x = torch.from_numpy(windows(8))
    optimizer = torch.optim.AdamW(net.parameters(), lr=0.002)
    y = torch.arange(8) % 3
    losses = []
    for _ in range(15):
        loss = torch.nn.functional.cross_entropy(net(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss))
    assert losses[-1] < losses[0]
    assert all(p.grad is not None for p in net.parameters())

    onnx.save(net.trained_source(source), tmp_path / "trained.onnx")
    given = net.overrides()
    moved = PTQ.quantize(tmp_path / "trained.onnx", windows(16), tmp_path / "moved.onnx", given)
    plain = StaticInt8(
        n_calibration=16,
        method="minmax",
        percentile=99.9,
        equalize=False,
        bias_correction=False,
        tie_free=False,
        sensitivity=0,
        max_drop=None,
    )
    out = plain.quantize(tmp_path / "trained.onnx", windows(16), tmp_path / "out.onnx", given)
    written = {i.name: onnx.numpy_helper.to_array(i) for i in onnx.load(out).graph.initializer}
    head = net.weights["head.weight"]
    assert np.array_equal(written["head.weight_quantized"], net.whole_weights("head.weight"))
    assert np.abs(written["head.weight_quantized"]).max() <= head.largest == 7
    learned = float(net.scale("x_scale").detach())
    assert written["x_scale"] == pytest.approx(learned, rel=1e-6)
    with torch.no_grad():
        found = net(x).numpy()
    assert np.abs(found - run_onnx(out, x.numpy())).max() <= 2 * output_step(onnx.load(out))
    # Keeping sums away from ties moves scales by up to 0.2 %, and no weight to another step.
    after = {i.name: onnx.numpy_helper.to_array(i) for i in onnx.load(moved).graph.initializer}
    for name in net.weights:
        assert np.array_equal(after[f"{name}_quantized"], net.whole_weights(name))


def test_a_layer_alone(tmp_path: Path) -> None:
    _, model, source = quantized("cnn_small", tmp_path)
    x = torch.from_numpy(windows(4))
    plain = QuantizedNetwork(model, source, (), activations=False, only=frozenset())
    with torch.no_grad():
        expected = run_onnx(tmp_path / "prepared.onnx", x.numpy())
        assert np.abs(plain(x).numpy() - expected).max() < 0.01
        rough = [LayerBits(match="*", bits=2)]
        one = frozenset([next(iter(plain.weights))])
        changed = QuantizedNetwork(model, source, rough, activations=False, only=one)(x)
    assert np.abs(changed.numpy() - expected).max() > 0.05


@pytest.mark.parametrize("bits", [1, 9, True])
def test_bits_have_a_range(bits: int) -> None:
    with pytest.raises(ConfigError, match=rf"'head\.\*' asks for {bits} bits; use 2 to 8"):
        LayerBits(match="head.*", bits=bits)


def test_an_unknown_operator_is_named(tmp_path: Path) -> None:
    _, model, source = quantized("cnn_small", tmp_path)
    node = next(n for n in model.graph.node if n.op_type == "MaxPool")
    node.op_type = "LpPool"
    with pytest.raises(ExportError, match="does not know LpPool; use quantization=ptq_int8"):
        QuantizedNetwork(model, source, ())
