"""Padding against a plain loop, and messages for sizes that cannot be used."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ecgexp.architecture.blocks import SameConv1d, SameMaxPool1d, same_padding
from ecgexp.architecture.cnn_small import CnnSmall
from ecgexp.architecture.efficientnetv2_1d import EfficientNetV2
from ecgexp.errors import ConfigError
from ecgexp.types import SignalSpec

SIZES = {
    "length": st.integers(1, 40),
    "kernel": st.integers(1, 11),
    "stride": st.integers(1, 4),
}


def windows(x: np.ndarray, kernel: int, stride: int, fill: float) -> np.ndarray:
    """Cut (output, kernel) windows as Keras does, one sample at a time."""
    n_out = -(-len(x) // stride)
    total = max((n_out - 1) * stride + kernel - len(x), 0)
    start = -(total // 2)
    rows = []
    for output in range(n_out):
        places = range(start + output * stride, start + output * stride + kernel)
        rows.append([x[place] if 0 <= place < len(x) else fill for place in places])
    return np.array(rows)


def test_the_stem_pads_three_left_and_four_right() -> None:
    assert same_padding(800, 9, 2) == (3, 4)
    assert same_padding(800, 9, 1) == (4, 4)
    assert same_padding(25, 2, 2) == (0, 1)


@settings(max_examples=60, deadline=None)
@given(**SIZES)
def test_convolution_pads_as_keras(length: int, kernel: int, stride: int) -> None:
    rng = np.random.default_rng(length * 100 + kernel * 10 + stride)
    x = rng.standard_normal(length).astype(np.float32)
    layer = SameConv1d(1, 1, kernel, stride=stride, bias=False)
    taps = layer.weight.detach().numpy()[0, 0]
    y = layer(torch.from_numpy(x)[None, None]).detach().numpy()[0, 0]
    np.testing.assert_allclose(y, windows(x, kernel, stride, 0.0) @ taps, atol=1e-5)


@settings(max_examples=60, deadline=None)
@given(length=st.integers(1, 40), size=st.integers(1, 6))
def test_pooling_pads_as_keras(length: int, size: int) -> None:
    x = -np.random.default_rng(length * 10 + size).uniform(1, 2, length).astype(np.float32)
    y = SameMaxPool1d(size)(torch.from_numpy(x)[None, None]).numpy()[0, 0]
    np.testing.assert_array_equal(y, windows(x, size, size, -np.inf).max(1))


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


def test_a_wrong_layer_is_named() -> None:
    with pytest.raises(ConfigError, match=r"architecture\.layers\[0\]\.pool=True"):
        CnnSmall(spec=SPEC, layers=[{"filters": 8, "kernel": 3, "pool": True}], dropout=0.0)


def test_cnn_small_stays_small_with_twelve_leads() -> None:
    layers = [{"filters": 8, "kernel": 15, "pool": 4}, {"filters": 16, "kernel": 9, "pool": 1}]
    network = CnnSmall(spec=SPEC, layers=layers, dropout=0.0)
    assert network(torch.zeros(2, 1, 64)).shape == (2, 2)
