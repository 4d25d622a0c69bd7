"""Weights as bit planes: found again, packed small, and the bytes of a sum written out."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from device_harness import Trial, available, run_device
from kernel_harness import run_host

from ecgexp.deploy.kernels import QParams, planes_conv
from ecgexp.deploy.kernels.conv_shape import ConvShape
from ecgexp.deploy.kernels.weights import Weights
from ecgexp.deploy.planes import find_coordinates, find_planes

X, Y = QParams(0.0237, -5), QParams(0.31, 7)
# c_in, c_out, taps, stride, pads, length, segments per channel
LAYERS = [
    (64, 5, 3, 1, (1, 1), 6, 3),
    (32, 7, 9, 2, (4, 4), 21, 9),
    (12, 33, 4, 1, (1, 2), 9, 1),
    (216, 17, 1, 1, (0, 0), 1, 1),
    (1, 300, 40, 2, (7, 7), 50, 1),
]


def plane_weights(
    c_out: int, c_in: int, taps: int, segments: int, most_bits: int, seed: int
) -> np.ndarray:
    """Sums of up to `most_bits` planes (c_out, c_in, tap) int8; some segments are zero."""
    rng = np.random.default_rng(seed)
    rows = np.zeros((c_out, segments, taps * c_in // segments), np.int64)
    for c, s in itertools.product(range(c_out), range(segments)):
        for a in rng.integers(1, 30, rng.integers(0, most_bits + 1)):
            rows[c, s] += a * rng.choice([-1, 1], rows.shape[2])
    return rows.reshape(c_out, taps, c_in).transpose(0, 2, 1).astype(np.int8)


def convolve(x: np.ndarray, weights: Weights, shape: ConvShape) -> np.ndarray:
    """Return what a layer must write, from sums of whole numbers, position by position."""
    padded = np.pad(x.astype(np.int64) - X.zero_point, (shape.pads, (0, 0)))
    factor = (np.float64(X.scale) * weights.w_scale / Y.scale).astype(np.float32)
    out = []
    for p in range(shape.length_out):
        window = padded[p * shape.stride : p * shape.stride + shape.kernel]
        total = np.einsum("kc,ock->o", window, weights.weight.astype(np.int64)) + weights.bias
        out.append(np.rint(total.astype(np.float32) * factor) + Y.zero_point)
    return np.clip(out, -128, 127).astype(np.int8)


def trial(layer: tuple[int, int, int, int, tuple[int, int], int, int], isa: str) -> Trial:
    c_in, c_out, taps, stride, pads, length, segments = layer
    shape = ConvShape(
        length=length, c_in=c_in, c_out=c_out, kernel=taps, stride=stride, dilation=1, pads=pads,
        groups=1,
    )  # fmt: skip
    rng = np.random.default_rng(1)
    weights = Weights(
        weight=plane_weights(c_out, c_in, taps, segments, 2, seed=2),
        bias=rng.integers(-900, 900, c_out).astype(np.int32),
        x=X,
        w_scale=rng.uniform(0.001, 0.02, c_out).astype(np.float32),
        y=Y,
    )
    x = rng.integers(-128, 128, (length, c_in)).astype(np.int8)
    kernel = planes_conv.build(isa=isa, shape=shape, weights=weights)  # type: ignore[arg-type]
    assert kernel is not None
    assert sum(c.nbytes for c in kernel.constants) < weights.weight.size + 8 * c_out
    return Trial(kernel, (x,), convolve(x, weights, shape))


@pytest.mark.parametrize("layer", LAYERS, ids=str)
def test_plain_loops_are_exact(layer: tuple[int, int, int, int, tuple[int, int], int, int]) -> None:
    case = trial(layer, "generic")
    out = run_host(case.kernel, *case.inputs, size=case.expected.size, dtype="int8")
    np.testing.assert_array_equal(out.reshape(case.expected.shape), case.expected)


@pytest.mark.device
@pytest.mark.skipif(not available(), reason="needs arm-none-eabi-gcc and qemu-system-arm")
def test_helium_is_exact() -> None:
    trials = [trial(layer, "mve") for layer in LAYERS]
    for layer, case, outcome in zip(LAYERS, trials, run_device(trials), strict=True):
        np.testing.assert_array_equal(outcome.out, case.expected, str(layer))
        assert not outcome.overrun, layer


@pytest.mark.parametrize("coordinates", [(), (3,), (1, 5), (2, 2), (1, 7, 30), (4, 5, 9, 20)])
def test_the_fewest_coordinates_are_found(coordinates: tuple[int, ...]) -> None:
    signs = itertools.product((-1, 1), repeat=len(coordinates))
    values = np.array([sum(s * a for s, a in zip(row, coordinates, strict=True)) for row in signs])
    found = find_coordinates(values)
    assert found is not None
    assert len(found) <= len(coordinates)
    sums = {
        sum(s * a for s, a in zip(row, found, strict=True))
        for row in itertools.product((-1, 1), repeat=len(found))
    }
    assert set(values.tolist()) <= sums


def test_ordinary_weights_are_no_planes() -> None:
    assert find_coordinates(np.array([1, 2])) is None
    rng = np.random.default_rng(0)
    assert find_planes(rng.integers(-127, 128, (4, 16, 3)).astype(np.int8)) is None


def test_planes_that_are_no_smaller_are_left_alone() -> None:
    assert find_planes(plane_weights(4, 4, 3, 3, 2, seed=0)) is None


def test_packed_weights_give_the_weights_again() -> None:
    weight = plane_weights(6, 20, 3, 3, 3, seed=5)
    packed = find_planes(weight)
    assert packed is not None
    assert (packed.segments, packed.width) == (3, 20)
    again = np.zeros((6, 3, 20), np.int64)
    for s in range(3):
        for e in range(packed.starts[s], packed.starts[s + 1]):
            for j in range(20):
                bit = packed.bits[e, j // 16] >> (j % 16) & 1
                again[packed.channel[e], s, j] += int(packed.coordinate[e]) * (1 if bit else -1)
    np.testing.assert_array_equal(again.transpose(0, 2, 1), weight)
