"""Bytes of a network's parameters: one count for every quantization, held against others."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from torch import nn

from ecgexp.config.build import build
from ecgexp.config.compose import compose
from ecgexp.deploy.stored import stored_bytes
from ecgexp.pruning.channels import remove_channels
from ecgexp.pruning.importance import importance
from ecgexp.quantization.alq.coordinates import round_coordinates
from ecgexp.quantization.alq.groups import Groups, LayerRule, attach, groups_of, settle
from ecgexp.quantization.alq.onnx_weights import weight_scales
from ecgexp.quantization.export import export_onnx
from ecgexp.quantization.ptq import StaticInt8
from ecgexp.quantization.qat.network import LayerBits, QuantizedNetwork
from ecgexp.types import SignalSpec

SPEC = SignalSpec(
    fs_hz=100.0, leads=tuple("abcdefghijklmnop"), n_samples=64, labels=tuple("ABCDEFGH")
)
WINDOWS = np.random.default_rng(0).standard_normal((8, *SPEC.window_shape)).astype(np.float32)
ACTIVATION = 5  # a float32 scale and an int8 zero point
CHANNEL = 8  # a float32 scale and an int32 bias
# From a network and its export to what is deployed, and its bytes counted by hand.
Make = Callable[[nn.Module, Path, Path], tuple[Path, int]]


def network(*, pruned: bool) -> nn.Module:
    torch.manual_seed(1)
    made = nn.Sequential(
        nn.Conv1d(16, 32, 5), nn.BatchNorm1d(32), nn.ReLU(), nn.MaxPool1d(4),
        nn.Conv1d(32, 64, 3), nn.ReLU(), nn.MaxPool1d(4), nn.Flatten(), nn.Linear(192, 8),
    ).eval()  # fmt: skip
    if pruned:
        remove_channels(
            made, torch.zeros(1, *SPEC.window_shape), ratio=0.5,
            measure=importance("l1", made), is_global=False, max_layer_ratio=0.9, round_to=4,
        )  # fmt: skip
    return made.eval()


def quantizer(option: str) -> StaticInt8:
    config = compose("config", [f"quantization={option}"]).config
    made: StaticInt8 = build(config["quantization"], path="quantization")
    return made


def layers(made: nn.Module) -> list[nn.Module]:
    return [m for m in made.modules() if isinstance(m, nn.Conv1d | nn.Linear)]


def sizes(made: nn.Module) -> tuple[list[int], int]:
    """Weights of each layer, and output channels of all."""
    weights = [layer.get_parameter("weight") for layer in layers(made)]
    return [weight.numel() for weight in weights], sum(weight.shape[0] for weight in weights)


def activations(path: Path) -> int:
    model = onnx.load(path)
    return len({n.input[1] for n in model.graph.node if n.op_type == "QuantizeLinear"})


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> dict[bool, Path]:
    """The network, whole and pruned, exported."""
    folder = tmp_path_factory.mktemp("sources")
    return {
        pruned: export_onnx(network(pruned=pruned), SPEC, folder / f"{pruned}.onnx")
        for pruned in (False, True)
    }


def as_float(made: nn.Module, source: Path, folder: Path) -> tuple[Path, int]:
    weights, channels = sizes(made)
    return source, 4 * (sum(weights) + channels)


def static(option: str) -> Make:
    def make(made: nn.Module, source: Path, folder: Path) -> tuple[Path, int]:
        path = quantizer(option).quantize(source, WINDOWS, folder / "model.onnx")
        weights, channels = sizes(made)
        return path, sum(weights) + CHANNEL * channels + ACTIVATION * activations(path)

    return make


def by_layer(*widths: int) -> Make:
    """What `qat_int8` and `mixed` write, before any training."""

    def make(made: nn.Module, source: Path, folder: Path) -> tuple[Path, int]:
        start = quantizer("ptq_int8")
        prepared = onnx.load(start.prepare(source, WINDOWS, folder / "prepared.onnx"))
        first = onnx.load(start.quantize(source, WINDOWS, folder / "first.onnx"))
        names = QuantizedNetwork(first, prepared, ()).weights
        rules = [LayerBits(match=n, bits=b) for n, b in zip(names, widths, strict=True)]
        trained = QuantizedNetwork(first, prepared, rules)
        onnx.save(trained.trained_source(prepared), folder / "trained.onnx")
        path = start.quantize(
            folder / "trained.onnx", WINDOWS, folder / "model.onnx", trained.overrides()
        )
        weights, channels = sizes(made)
        held = sum(n // 2 if b <= 4 else n for n, b in zip(weights, widths, strict=True))
        return path, held + CHANNEL * channels + ACTIVATION * activations(path)

    return make


def in_planes(made: nn.Module, source: Path, folder: Path) -> tuple[Path, int]:
    """What `alq` writes out of its first sketch."""
    rule = LayerRule(match="*", structure="pixelwise", parts=1, most_bits=2)
    coded = attach(made, [rule])
    groups = groups_of(made)
    for name, layer in coded.items():
        round_coordinates(groups[name], "int8")
        settle(layer)
    source = export_onnx(made, SPEC, folder / "coded.onnx")
    scales = weight_scales(source, list(groups.values()))
    path = quantizer("ptq_int8").quantize(source, WINDOWS, folder / "model.onnx", scales)
    held = sum(map(plane_bytes, groups.values()))
    return path, held + CHANNEL * sizes(made)[1] + ACTIVATION * activations(path)


def plane_bytes(layer: Groups) -> int:
    """Signs in words of 16, a coordinate and the number of its channel, where each tap begins."""
    words = -(-layer.layout.group_size // 16)
    begins = 4 * (layer.layout.per_channel + 1)
    return int(layer.live.sum()) * (2 * words + 1 + 1) + begins


SCHEMES = {
    "none": as_float,
    "ptq_int8": static("ptq_int8"),
    "equalize_ptq": static("equalize_ptq"),
    "qat_int8": by_layer(8, 8, 8),
    "mixed": by_layer(4, 6, 3),
    "alq": in_planes,
}


@pytest.mark.parametrize("pruned", [False, True], ids=["whole", "pruned"])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_bytes_of_every_quantization(
    scheme: str, pruned: bool, sources: dict[bool, Path], tmp_path: Path
) -> None:
    """The same as counted by hand on the torch network, and as the compiled program holds."""
    path, by_hand = SCHEMES[scheme](network(pruned=pruned), sources[pruned], tmp_path)
    found = stored_bytes(path)
    assert found.total == by_hand
    pytest.importorskip("tvm")
    from ecgexp.deploy.importer import import_onnx
    from ecgexp.deploy.integer import rewrite
    from ecgexp.deploy.kernels.weights import Storage
    from ecgexp.deploy.program import constant_bytes

    storage = Storage(bit_planes=True, pack_int4=True)
    program = rewrite(import_onnx(path), isa="mve", allow_float_ops=0, storage=storage)
    in_code = 0 if scheme == "none" else ACTIVATION * activations(path)
    # Kernels fill channels up to whole blocks and taps up to whole vectors.
    assert found.total - in_code <= constant_bytes(program) <= 1.2 * found.total


def test_shapes_and_depthwise_weights_of_few_bits(tmp_path: Path) -> None:
    """Shapes are no parameters; the kernels never hold depthwise weights as two to a byte."""
    made = nn.Sequential(
        nn.Conv1d(16, 16, 3, groups=16), nn.ReLU(), nn.AdaptiveAvgPool1d(1), nn.Flatten(),
        nn.Linear(16, 8),
    ).eval()  # fmt: skip
    weights, channels = sizes(made)
    source = export_onnx(made, SPEC, tmp_path / "float.onnx")
    path, _ = by_layer(4, 4)(made, source, tmp_path)
    constants = [numpy_helper.to_array(t) for t in onnx.load(path).graph.initializer]
    assert any(value.dtype == np.int64 for value in constants)
    expected = weights[0] + weights[1] // 2 + CHANNEL * channels + ACTIVATION * activations(path)
    assert stored_bytes(path).total == expected
