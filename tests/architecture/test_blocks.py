"""Padding against a plain loop, and messages for sizes that cannot be used."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ecgexp.architecture.blocks import SameConv1d, SameMaxPool1d, ValidMaxPool1d, same_padding
from ecgexp.architecture.cnn import Cnn
from ecgexp.architecture.efficientnetv2_1d import EfficientNetV2
from ecgexp.errors import ConfigError
from ecgexp.types import SignalSpec

SIZES = {
    "length": st.integers(1, 40),
    "kernel": st.integers(1, 11),
    "stride": st.integers(1, 4),
}


def windows(x: np.ndarray, kernel: int, stride: int, fill: float, dilation: int = 1) -> np.ndarray:
    """Cut (output, kernel) windows as Keras does, one sample at a time."""
    n_out = -(-len(x) // stride)
    span = (kernel - 1) * dilation + 1
    total = max((n_out - 1) * stride + span - len(x), 0)
    start = -(total // 2)
    rows = []
    for output in range(n_out):
        first = start + output * stride
        places = range(first, first + span, dilation)
        rows.append([x[place] if 0 <= place < len(x) else fill for place in places])
    return np.array(rows)


def test_the_stem_pads_three_left_and_four_right() -> None:
    assert same_padding(800, 9, 2) == (3, 4)
    assert same_padding(800, 9, 1) == (4, 4)
    assert same_padding(25, 2, 2) == (0, 1)


@settings(max_examples=60, deadline=None)
@given(**SIZES, dilation=st.integers(1, 5))
def test_convolution_pads_as_keras(length: int, kernel: int, stride: int, dilation: int) -> None:
    rng = np.random.default_rng(length * 100 + kernel * 10 + stride)
    x = rng.standard_normal(length).astype(np.float32)
    layer = SameConv1d(1, 1, kernel, stride=stride, dilation=dilation, bias=False)
    taps = layer.weight.detach().numpy()[0, 0]
    y = layer(torch.from_numpy(x)[None, None]).detach().numpy()[0, 0]
    np.testing.assert_allclose(y, windows(x, kernel, stride, 0.0, dilation) @ taps, atol=1e-5)


@settings(max_examples=60, deadline=None)
@given(length=st.integers(1, 40), size=st.integers(1, 6), stride=st.integers(1, 6))
def test_pooling_pads_as_keras(length: int, size: int, stride: int) -> None:
    x = -np.random.default_rng(length * 10 + size).uniform(1, 2, length).astype(np.float32)
    y = SameMaxPool1d(size, stride)(torch.from_numpy(x)[None, None]).numpy()[0, 0]
    np.testing.assert_array_equal(y, windows(x, size, stride, -np.inf).max(1))


def test_valid_pooling_cuts_a_window_that_is_too_long() -> None:
    x = torch.arange(10.0)[None, None]
    assert ValidMaxPool1d(4, 3)(x).flatten().tolist() == [3.0, 6.0, 9.0]
    assert ValidMaxPool1d(16, 2)(x).flatten().tolist() == [9.0]


SPEC = SignalSpec(fs_hz=100.0, leads=("II",), n_samples=64, labels=("a", "b"))
STEM = {"filters": 8, "kernel": 3, "stride": 2}
STAGE = {"filters": 8, "kernel": 3, "stride": 2, "depth": 1, "expand_ratio": 1, "se_ratio": 4}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stem": {"filters": 8, "kernel": 3}}, r"architecture\.stem: .*missing keys \['stride'\]"),
        ({"blocks": []}, r"architecture\.blocks=\[\]: write a list of at least one mapping"),
        ({"blocks": [{**STAGE, "kernels": 3}]}, r"blocks\[0\]: unknown keys \['kernels'\]"),
        ({"blocks": [{**STAGE, "depth": 0}]}, r"blocks\[0\]\.depth=0: write an integer"),
        ({"blocks": [STAGE, {**STAGE, "kernel": 3.5}]}, r"blocks\[1\]\.kernel=3\.5"),
        ({"blocks": [7]}, r"blocks\[0\]=7: write a mapping"),
        ({"dropout": 1.0}, r"architecture\.dropout=1\.0: write a rate"),
        ({"drop_connect": -0.1}, r"architecture\.drop_connect=-0\.1"),
    ],
)
def test_a_wrong_size_is_named(changes: dict, message: str) -> None:
    sizes = {"stem": STEM, "blocks": [STAGE], "dropout": 0.1, "drop_connect": 0.0}
    with pytest.raises(ConfigError, match=message):
        EfficientNetV2(spec=SPEC, **{**sizes, **changes})


LAYERS = {
    "filters": [8, 16],
    "kernel": [15, 9],
    "stride": 1,
    "pool": [4, 1],
    "pool_stride": [4, 1],
    "separable": False,
}
CNN = {
    "layers": LAYERS,
    "padding": "same",
    "norm": "before_relu",
    "norm_layers": 2,
    "head": "mean",
    "hidden": 0,
    "dropout": 0.0,
}
STRIDED = {**LAYERS, "stride": [64, 1], "kernel": 6, "pool": 1, "pool_stride": 1}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layers": {**LAYERS, "pool": [4, True]}}, r"architecture\.layers\[1\]\.pool=True"),
        ({"layers": {**LAYERS, "separable": 1}}, r"layers\[0\]\.separable=1: write true or false"),
        ({"layers": {**LAYERS, "kernel": [15]}}, r"lists have the lengths .*'kernel': 1"),
        ({"layers": dict.fromkeys(LAYERS, 1)}, r"write at least one list"),
        ({"layers": {"filters": [1]}}, r"architecture\.layers: .*missing keys \['kernel'"),
        ({"padding": "valid"}, r"architecture\.padding='valid': write one of same, half"),
        ({"norm": "batch"}, r"architecture\.norm='batch': write one of none, before_relu"),
        ({"head": "max"}, r"architecture\.head='max': write one of mean, flatten"),
        ({"hidden": -1}, r"architecture\.hidden=-1: write an integer of at least 0"),
        ({"norm_layers": True}, r"architecture\.norm_layers=True"),
        (
            {"layers": STRIDED, "padding": "half", "head": "flatten"},
            r"a window of 64 samples is too short .*use fewer layers",
        ),
    ],
)
def test_a_wrong_layer_is_named(changes: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Cnn(spec=SPEC, **{**CNN, **changes})


def test_columns_and_rows_make_the_same_network() -> None:
    first = {"filters": 8, "kernel": 15, "stride": 1, "pool": 4, "pool_stride": 4}
    second = {"filters": 16, "kernel": 9, "stride": 1, "pool": 1, "pool_stride": 1}
    rows = [{**first, "separable": False}, {**second, "separable": False}]
    networks = [Cnn(spec=SPEC, **{**CNN, "layers": layers}) for layers in (LAYERS, rows)]
    assert str(networks[0]) == str(networks[1])
