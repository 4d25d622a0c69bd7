from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecgexp.deploy import scalar
from ecgexp.deploy.graph import Op
from ecgexp.deploy.kernels import QParams
from ecgexp.deploy.program import Buffer
from ecgexp.deploy.rewrite.formula import append
from ecgexp.deploy.rewrite.materialise import Materialiser
from ecgexp.deploy.rewrite.value import Real, Stage, dequantized, quantized, raw, stored, time_major
from ecgexp.errors import BuildError

OP = Op(
    kind="nn.conv1d",
    name="lv",
    inputs=(),
    attrs={},
    shape=(1, 3, 4),
    dtype="float32",
    origin="ONNX Conv 'c'",
)


def _buffer(elements: int) -> Buffer:
    return Buffer(index=900, elements=elements, dtype="float32")


@given(st.integers(1, 6), st.integers(1, 6))
def test_time_major_puts_channels_of_one_sample_side_by_side(channels: int, length: int) -> None:
    order = time_major((1, channels, length))
    for channel in range(channels):
        for sample in range(length):
            assert order[0, channel, sample] == sample * channels + channel


@given(st.integers(1, 7), st.integers(1, 7))
@settings(deadline=None)
def test_arranging_a_channel_major_signal_takes_one_transposition(
    channels: int, length: int
) -> None:
    materialiser = Materialiser(isa="generic")
    natural = np.arange(channels * length).reshape(1, channels, length)
    source = _buffer(channels * length)

    buffer = materialiser.arrange(OP, Real(buffer=source, order=natural))

    if channels == 1 or length == 1:
        assert buffer is source
        assert materialiser.program.steps == []
    else:
        (step,) = materialiser.program.steps
        assert step.kernel.name == f"transpose_float32_r{channels}c{length}"
        assert materialiser.arrange(OP, Real(buffer=source, order=natural)) is buffer


def test_arranging_a_shuffled_tensor_is_refused() -> None:
    order = np.random.default_rng(0).permutation(12).reshape(1, 3, 4)
    with pytest.raises(BuildError, match=r"ONNX Conv 'c'.*cannot be reached by a transposition"):
        Materialiser(isa="generic").arrange(OP, Real(buffer=_buffer(12), order=order))


@given(st.floats(1e-4, 10.0), st.integers(-128, 127), st.floats(1e-4, 10.0), st.integers(-128, 127))
def test_quantizing_what_was_dequantized_gives_the_codes_back(
    scale: float, zero: int, other_scale: float, other_zero: int
) -> None:
    buffer = Buffer(index=0, elements=4, dtype="int8")
    order = np.arange(4)
    qparams, other = QParams(scale, zero), QParams(other_scale, other_zero)
    table = stored(buffer, order, qparams)
    assert np.array_equal(quantized(table, qparams).codes, scalar.CODES)
    # Through another grid and back to numbers: a table of a table is still one table.
    again = dequantized(quantized(table, other), other)
    expected = scalar.dequantize(
        scalar.quantize(table.values, other.scale, other.zero_point),
        other.scale,
        other.zero_point,
    )
    assert np.array_equal(again.values, expected)


def test_stored_codes_need_no_table_pass() -> None:
    materialiser = Materialiser(isa="generic")
    codes = raw(Buffer(index=0, elements=4, dtype="int8"), np.arange(4))
    assert materialiser.codes(OP, codes) is codes
    assert materialiser.program.steps == []


def test_one_table_is_computed_once_for_two_readers() -> None:
    materialiser = Materialiser(isa="generic")
    buffer = Buffer(index=0, elements=4, dtype="int8")
    table = stored(buffer, np.arange(4), QParams(0.1, 3))
    halved = quantized(table, QParams(0.2, 3))
    first, second = (materialiser.codes(OP, halved) for _ in range(2))
    assert first.buffer is second.buffer
    assert len(materialiser.program.steps) == 1


def test_successive_clips_become_one() -> None:
    low = Stage(kind="clip", alpha=0.0, beta=np.inf)
    high = Stage(kind="clip", alpha=-np.inf, beta=6.0)
    assert append(append((), low), high) == (Stage(kind="clip", alpha=0.0, beta=6.0),)


def _kernels(*formula: Stage) -> list[str]:
    materialiser = Materialiser(isa="generic")
    materialiser.real(OP, Real(buffer=_buffer(12), order=np.arange(12), formula=formula))
    return [step.kernel.name.split("_float32")[0] for step in materialiser.program.steps]


@pytest.mark.parametrize(
    ("formula", "kernels"),
    [
        ([("sigmoid",), ("times_base",)], ["silu"]),
        ([("scale", 1 / 6), ("offset", 0.5), ("clip", 0, 1), ("times_base",)], ["hard_swish"]),
        ([("scale", 0.2), ("offset", 0.5), ("clip", 0.0, 1.0)], ["hard_sigmoid"]),
        ([("tanh",), ("times_base",)], ["tanh", "mul"]),
        ([("scale", 3.0), ("offset", 1.0)], ["mul", "add"]),
    ],
)
def test_idioms_become_one_kernel(formula: list[Any], kernels: list[str]) -> None:
    names = ("kind", "alpha", "beta")
    stages = [Stage(**dict(zip(names, entry, strict=False))) for entry in formula]
    assert _kernels(*stages) == kernels


def test_function_without_a_float_kernel_is_refused() -> None:
    with pytest.raises(BuildError, match="erf has no float kernel by itself"):
        _kernels(Stage(kind="erf"))


@pytest.mark.parametrize("kind", sorted(scalar.UNARY))
def test_scalar_functions_are_elementwise(kind: str) -> None:
    attrs = {"min": -0.5, "max": 1.0, "alpha": 0.1}
    x = np.linspace(-4, 4, 256, dtype=np.float32)
    whole = scalar.unary(kind, attrs, x)
    single = np.array([scalar.unary(kind, attrs, x[i : i + 1])[0] for i in range(0, 256, 37)])
    np.testing.assert_allclose(whole[::37], single, rtol=1e-6, atol=1e-7)


def test_quantize_rounds_ties_to_even_and_saturates() -> None:
    x = np.array([0.5, 1.5, 2.5, -0.5, 1e30, -1e30, 126.5], np.float32)
    assert scalar.quantize(x, 1.0, 0).tolist() == [0, 2, 2, 0, 127, -128, 126]
