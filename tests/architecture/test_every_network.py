"""One battery for every network in conf/architecture."""

from __future__ import annotations

import ast
import functools
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

import ecgexp.architecture
from ecgexp.architecture.size import measure_size
from ecgexp.config.build import build
from ecgexp.config.compose import compose
from ecgexp.quantization.export import export_onnx
from ecgexp.quantization.reference import run_onnx
from ecgexp.resources import resource_folder
from ecgexp.types import SignalSpec
from tests.architecture.conftest import IMAGE, TWELVE_LEADS, TWO_LEAD_IMAGE

OPTIONS = sorted(
    path.stem for path in (resource_folder("conf") / "architecture").glob("[!_]*.yaml")
)

EXPORTED = {
    *("Add", "Clip", "Concat", "Conv", "Gemm", "MaxPool", "Mul", "Pad", "ReduceMax", "ReduceMean"),
    *("Relu", "Reshape", "Sigmoid"),
}

# Networks over images; they are tried on two kinds of image instead of two kinds of signal.
IMAGE_NETWORKS = {"cnn_scalogram_small", "efficientnet_b0"}

# (option, window, classes) -> trainable, statistics, multiply-accumulates
GOLDEN = {
    ("cnn_avh", "1x256", 3): (855_555, 320, 4_060_160),
    ("cnn_avh", "12x1000", 5): (1_582_341, 320, 38_269_440),
    ("cnn_avh_small", "1x256", 3): (79_027, 624, 691_520),
    ("cnn_avh_small", "12x1000", 5): (96_757, 624, 8_424_256),
    ("cnn_mlii17", "1x256", 3): (70_847, 0, 120_128),
    ("cnn_mlii17", "12x1000", 5): (72_385, 0, 1_275_200),
    ("cnn_small", "1x256", 3): (10_411, 240, 170_176),
    ("cnn_small", "12x1000", 5): (11_861, 240, 1_987_904),
    ("cnn_scalogram_small", "1x100x100", 4): (79_924, 416, 3_057_040),
    ("cnn_scalogram_small", "2x40x57", 3): (80_611, 416, 862_176),
    ("dense", "1x256", 3): (8_323, 0, 8_288),
    ("dense", "12x1000", 5): (384_197, 0, 384_160),
    ("dscnn", "1x256", 3): (18_515, 1_024, 209_696),
    ("dscnn", "12x1000", 5): (23_989, 1_024, 2_146_256),
    ("efficientnet_b0", "1x100x100", 4): (4_012_096, 42_016, 99_217_600),
    ("efficientnet_b0", "2x40x57", 3): (4_011_103, 42_016, 24_959_840),
    ("efficientnetv2_1d", "1x256", 3): (30_815, 1_280, 246_944),
    ("efficientnetv2_1d", "12x1000", 5): (33_385, 1_280, 2_137_568),
    ("efficientnetv2_arr2", "1x256", 3): (17_611, 928, 281_488),
    ("efficientnetv2_arr2", "12x1000", 5): (19_293, 928, 1_875_136),
    ("efficientnetv2_arr4", "1x256", 3): (26_343, 1_088, 235_904),
    ("efficientnetv2_arr4", "12x1000", 5): (28_185, 1_088, 1_705_168),
    ("efficientnetv2_arr4_large", "1x256", 3): (68_729, 2_464, 684_224),
    ("efficientnetv2_arr4_large", "12x1000", 5): (71_299, 2_464, 3_826_240),
    ("efficientnetv2_beat2", "1x256", 3): (26_767, 1_184, 438_656),
    ("efficientnetv2_beat2", "12x1000", 5): (29_273, 1_184, 2_875_600),
    ("efficientnetv2_beat3", "1x256", 3): (39_305, 1_696, 486_688),
    ("efficientnetv2_beat3", "12x1000", 5): (41_875, 1_696, 3_067_912),
    ("efficientnetv2_rhythm4", "1x256", 3): (37_935, 1_392, 543_000),
    ("efficientnetv2_rhythm4", "12x1000", 5): (40_457, 1_392, 3_271_400),
    ("resnet1d", "1x256", 3): (110_099, 768, 775_456),
    ("resnet1d", "12x1000", 5): (112_933, 768, 4_395_232),
    ("resnet34_hannun", "1x256", 3): (10_465_891, 7_744, 69_337_856),
    ("resnet34_hannun", "12x1000", 5): (10_472_037, 7_744, 279_299_328),
    ("resnet_hannun_small", "1x256", 3): (105_755, 928, 2_252_920),
    ("resnet_hannun_small", "12x1000", 5): (108_653, 928, 10_254_536),
    ("tcn", "1x256", 3): (35_475, 624, 2_225_736),
    ("tcn", "12x1000", 5): (37_901, 624, 9_288_120),
}

# option -> window, classes, trainable, statistics, multiply-accumulates, as published
PUBLISHED = {
    "cnn_mlii17": (3600, 17, 80_973, 0, 2_436_288),
    "cnn_avh": (3600, 7, 3_872_583 - 320, 320, 52_739_584),
    "efficientnetv2_1d": (800, 4, 30_912, 1_280, 763_952),
    "efficientnetv2_arr2": (512, 2, 18_490 - 928, 928, 556_128),
    "efficientnetv2_arr4": (800, 4, 27_560 - 1_088, 1_088, 729_288),
    "efficientnetv2_arr4_large": (800, 4, 71_290 - 2_464, 2_464, 2_106_784),
    "efficientnetv2_beat2": (512, 2, 27_886 - 1_184, 1_184, 866_624),
    "efficientnetv2_beat3": (512, 3, 41_001 - 1_696, 1_696, 963_264),
    "efficientnetv2_rhythm4": (800, 4, 39_400 - 1_392, 1_392, 1_663_712),
    "resnet1d": (3000, 4, 110_196, 768, 9_099_968),
    "resnet34_hannun": (7680, 4, 10_466_148, 7_744, 2_080_113_664),
}
# option -> parameters that it must stay under, with 4 classes and 3,600 samples
LIMITS = {
    "cnn_scalogram_small": 150_000,
    "cnn_avh_small": 100_000,
    "resnet_hannun_small": 120_000,
    "cnn_small": 15_000,
}

# Every kind of block once; an export takes seconds, so that the others are marked slow.
EXPORTED_FAST = {
    "cnn_mlii17",
    "cnn_scalogram_small",
    "efficientnetv2_1d",
    "resnet1d",
    "resnet_hannun_small",
}


@functools.cache
def composed(name: str) -> dict:
    return compose("config", [f"architecture={name}"]).config["architecture"]


def signal(n_samples: int, n_classes: int) -> SignalSpec:
    labels = tuple(f"c{index}" for index in range(n_classes))
    return SignalSpec(fs_hz=100.0, leads=("II",), n_samples=n_samples, labels=labels)


@pytest.fixture(params=OPTIONS)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def spec(name: str, spec: SignalSpec) -> SignalSpec:
    """Return the signal, or the image that takes its place."""
    if name not in IMAGE_NETWORKS:
        return spec
    return IMAGE if spec.n_leads == 1 else TWO_LEAD_IMAGE


@pytest.fixture
def network(name: str, spec: SignalSpec) -> torch.nn.Module:
    torch.manual_seed(0)
    return build(composed(name), path="architecture", spec=spec)


def test_answers_finite_logits(network: torch.nn.Module, spec: SignalSpec) -> None:
    logits = network(torch.randn(3, *spec.window_shape))
    assert logits.shape == (3, spec.n_classes)
    assert torch.isfinite(logits).all()


def test_gradient_reaches_every_parameter(network: torch.nn.Module, spec: SignalSpec) -> None:
    logits = network(torch.randn(8, *spec.window_shape))
    torch.nn.functional.cross_entropy(logits, torch.arange(8) % spec.n_classes).backward()
    for parameter_name, parameter in network.named_parameters():
        assert parameter.grad is not None, parameter_name
        assert torch.isfinite(parameter.grad).all(), parameter_name
        assert parameter.grad.abs().sum() > 0, parameter_name


def test_one_window_does_not_see_another(network: torch.nn.Module, spec: SignalSpec) -> None:
    x = torch.randn(4, *spec.window_shape)
    network.eval()
    with torch.no_grad():
        together, alone = network(x), torch.cat([network(window[None]) for window in x])
    torch.testing.assert_close(together, alone, atol=1e-4, rtol=1e-4)


def test_size_is_the_recorded_one(name: str, network: torch.nn.Module, spec: SignalSpec) -> None:
    size = measure_size(network, spec)
    key = (name, "x".join(map(str, spec.window_shape)), spec.n_classes)
    assert (size.trainable, size.statistics, size.macs) == GOLDEN[key]


@pytest.mark.parametrize("name", PUBLISHED)
def test_size_is_the_published_one(name: str) -> None:
    n_samples, n_classes, *expected = PUBLISHED[name]
    spec = signal(n_samples, n_classes)
    size = measure_size(build(composed(name), path="architecture", spec=spec), spec)
    assert [size.trainable, size.statistics, size.macs] == expected


@pytest.mark.parametrize("name", LIMITS)
def test_size_stays_under_its_limit(name: str) -> None:
    spec = IMAGE if name in IMAGE_NETWORKS else signal(3600, 4)
    size = measure_size(build(composed(name), path="architecture", spec=spec), spec)
    assert size.trainable + size.statistics < LIMITS[name]


def export_and_compare(name: str, spec: SignalSpec, folder: Path) -> None:
    torch.manual_seed(0)
    network = build(composed(name), path="architecture", spec=spec)
    x = torch.randn(6, *spec.window_shape)
    with torch.no_grad():
        for _ in range(5):
            network(2.0 * torch.randn(16, *spec.window_shape))
        expected = network.eval()(x).numpy()
    path = export_onnx(network, spec, folder / "net.onnx")
    np.testing.assert_allclose(run_onnx(path, x.numpy()), expected, atol=1e-4, rtol=1e-4)
    kinds = {node.op_type for node in onnx.load(path).graph.node}
    assert kinds <= EXPORTED


@pytest.mark.parametrize("name", sorted(EXPORTED_FAST))
def test_exports_what_it_computes(name: str, spec: SignalSpec, tmp_path: Path) -> None:
    export_and_compare(name, spec, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(OPTIONS) - EXPORTED_FAST))
def test_exports_what_it_computes_too(name: str, tmp_path: Path) -> None:
    export_and_compare(name, TWO_LEAD_IMAGE if name in IMAGE_NETWORKS else TWELVE_LEADS, tmp_path)


def test_every_network_of_the_package_is_an_option() -> None:
    folder = Path(ecgexp.architecture.__file__).parent
    shared = {"__init__", "blocks", "layout", "size"}
    files = {path.stem for path in folder.glob("*.py")} - shared
    targets = [composed(name)["_target_"].rpartition(".") for name in OPTIONS]
    assert {module for module, _, _ in targets} == {f"ecgexp.architecture.{file}" for file in files}
    for module, _, class_name in targets:
        tree = ast.parse((folder / f"{module.rpartition('.')[2]}.py").read_text())
        assert class_name in {node.name for node in tree.body if isinstance(node, ast.ClassDef)}


def test_every_option_is_in_the_golden_table() -> None:
    assert {key[0] for key in GOLDEN} == set(OPTIONS)


@pytest.mark.parametrize("file", OPTIONS)
def test_option_holds_no_interpolation(file: str) -> None:
    text = (resource_folder("conf") / "architecture" / f"{file}.yaml").read_text()
    assert "${" not in text
    assert text.startswith("# ")
    assert f"architecture={file}" in text.splitlines()[0]
