"""The int8 network against integer arithmetic written down here, bit for bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import numpy_helper
from scipy.signal import correlate

from ecgexp.quantization.ptq import StaticInt8
from ecgexp.quantization.reference import run_onnx
from ecgexp.quantization.tie_free import LARGEST_DENOMINATOR, nearest_fraction

Attributes = dict[str, Any]


class IntegerNetwork:
    """Runs a QDQ graph with integers only, as a device does."""

    def __init__(self, path: Path) -> None:
        model = onnx.load(path)
        self.graph = model.graph
        self.constants = {v.name: numpy_helper.to_array(v) for v in model.graph.initializer}
        self.made_by = {name: node for node in self.graph.node for name in node.output}
        self.quantize = {n.input[0]: n for n in self.graph.node if n.op_type == "QuantizeLinear"}

    def run(self, x: np.ndarray) -> np.ndarray:
        self.values: dict[str, np.ndarray] = {}
        for node in self.graph.node:
            if node.op_type == "QuantizeLinear" and node.input[0] == "x":
                step, point = (self.constants[name] for name in node.input[1:])
                self.values[node.output[0]] = saturate(np.rint(x / step) + point)
            elif node.op_type not in ("QuantizeLinear", "DequantizeLinear"):
                quantize = self.quantize[node.output[0]]
                step, point = (self.constants[name] for name in quantize.input[1:])
                attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
                inputs = [self.integers(name) for name in node.input if name in self.made_by]
                result = getattr(self, node.op_type.lower())(inputs, step, attributes)
                self.values[quantize.output[0]] = saturate(result + point)
        logits, step = self.integers(self.graph.output[0].name)
        return (logits * step).astype(np.float32)

    def integers(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Return a tensor as integers around zero, and its scale."""
        source, step, point = self.made_by[name].input
        value = self.constants.get(source)
        value = self.values[source] if value is None else value
        return value.astype(np.int64) - int(np.max(self.constants[point])), self.constants[step]

    @staticmethod
    def conv(inputs: list, step: np.ndarray, attributes: Attributes) -> np.ndarray:
        (x, x_step), (weight, w_step), (bias, _) = inputs
        x = np.pad(x[0], ((0, 0), tuple(attributes["pads"])))
        per_group = weight.shape[1]
        rows = []
        for channel, taps in enumerate(weight):
            first = channel // (len(weight) // attributes["group"]) * per_group
            window = correlate(x[first : first + per_group], taps, mode="valid", method="direct")
            rows.append(window[0, :: attributes["strides"][0]] + bias[channel])
        return rescale(np.array(rows), (x_step * w_step / step)[:, None])[None]

    @staticmethod
    def gemm(inputs: list, step: np.ndarray, _: Attributes) -> np.ndarray:
        (x, x_step), (weight, w_step), (bias, _unused) = inputs
        return rescale(x @ weight.T + bias, x_step * w_step / step)

    @staticmethod
    def maxpool(inputs: list, _: np.ndarray, attributes: Attributes) -> np.ndarray:
        ((x, _step),) = inputs
        (size,), pads = attributes["kernel_shape"], tuple(attributes["pads"])
        padded = np.pad(x, ((0, 0), (0, 0), pads), constant_values=-(10**6))
        return padded.reshape(*x.shape[:2], -1, size).max(-1)

    @staticmethod
    def reducemean(inputs: list, step: np.ndarray, attributes: Attributes) -> np.ndarray:
        ((x, x_step),) = inputs
        total = x.sum(-1, keepdims=bool(attributes["keepdims"])).astype(np.float32)
        return np.rint(total / np.float32(x.shape[-1]) * (x_step / step))

    @staticmethod
    def mul(inputs: list, step: np.ndarray, _: Attributes) -> np.ndarray:
        (a, a_step), (b, b_step) = inputs
        return rescale(a * b, a_step * b_step / step)

    @staticmethod
    def add(inputs: list, step: np.ndarray, _: Attributes) -> np.ndarray:
        (a, a_step), (b, b_step) = inputs
        return np.rint(np.float32(a) * (a_step / step) + np.float32(b) * (b_step / step))


def rescale(total: np.ndarray, factor: np.ndarray) -> np.ndarray:
    assert np.abs(total).max() < 2**31
    assert factor.dtype == np.float32
    return np.rint(total.astype(np.float32) * factor)


def saturate(value: np.ndarray) -> np.ndarray:
    return np.clip(value, -128, 127).astype(np.int8)


def test_integers_give_the_bits_of_the_graph_as_written(example: Any) -> None:
    network = IntegerNetwork(example.int8_onnx)
    mine = np.concatenate([network.run(window[None]) for window in example.x])
    np.testing.assert_array_equal(mine, run_onnx(example.int8_onnx, example.x))
    assert len(np.unique(mine)) > 20


def test_fused_and_written_agree(example: Any) -> None:
    written = run_onnx(example.int8_onnx, example.x)
    np.testing.assert_array_equal(run_onnx(example.int8_onnx, example.x, optimise=True), written)


def test_every_factor_is_a_fraction_without_ties(example: Any) -> None:
    network = IntegerNetwork(example.int8_onnx)
    network.run(example.x[:1])
    float32_roundings = 4 * 2.0**-24
    denominators = np.arange(1, LARGEST_DENOMINATOR, 2)
    n_factors = 0
    for node in network.graph.node:
        if node.op_type not in ("Conv", "Gemm"):
            continue
        step = network.constants[network.quantize[node.output[0]].input[1]]
        (_, x_step), (_, w_step) = (network.integers(name) for name in node.input[:2])
        for factor in (x_step.astype(np.float64) * w_step / step).tolist():
            numerators = factor * denominators
            near = np.abs(numerators - np.rint(numerators)) < float32_roundings * numerators
            assert np.any(near & (numerators > 0.5)), factor
            n_factors += 1
    assert n_factors == sum(
        len(network.integers(node.input[1])[0])
        for node in network.graph.node
        if node.op_type in ("Conv", "Gemm")
    )


@settings(max_examples=200, deadline=None)
@given(st.floats(2.0**-13, 4.0))
def test_a_fraction_is_near_and_keeps_its_distance(factor: float) -> None:
    fraction = nearest_fraction(factor)
    assert fraction is not None
    assert abs(fraction - factor) <= factor / 512
    sums = np.arange(-3000, 3000)
    results = sums * fraction
    results = results[np.abs(results) < 200]
    distance = np.abs(results - np.floor(results) - 0.5).min()
    assert distance > 0.49 / LARGEST_DENOMINATOR


def test_a_tiny_factor_is_left_alone() -> None:
    assert nearest_fraction(2.0**-20) is None


@pytest.mark.parametrize("method", ["minmax", "percentile", "entropy"])
def test_moving_the_scales_costs_nothing(example: Any, tmp_path: Path, method: str) -> None:
    reference = run_onnx(example.float_onnx, example.x)
    error = {}
    for tie_free in (False, True):
        quantizer = StaticInt8(
            n_calibration=48,
            method=method,
            percentile=99.9,
            equalize=False,
            bias_correction=False,
            tie_free=tie_free,
            sensitivity=0,
            max_drop=None,
        )
        path = quantizer.quantize(example.float_onnx, example.calibration, tmp_path / "q.onnx")
        error[tie_free] = float(np.sqrt(np.mean((run_onnx(path, example.x) - reference) ** 2)))
    spread = float(reference.std())
    assert error[True] < 0.2 * spread
    assert error[True] < error[False] + 0.02 * spread
