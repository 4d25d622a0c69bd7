"""Convolutions that pool their own sums equal the two operators one after the other."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from device_harness import Trial, available, run_device
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from kernel_harness import run_host
from shapes import ConvCase, conv_cases

from ecgexp.deploy.kernels import Isa, Kernel, QParams, conv1d, pool
from ecgexp.deploy.kernels.conv_shape import ConvShape
from ecgexp.deploy.kernels.weights import Weights
from ecgexp.deploy.kernels.window import Window

Array = np.ndarray[Any, Any]


@st.composite
def pooled_cases(
    draw: st.DrawFn, depthwise: bool, max_channels: int = 20
) -> tuple[ConvCase, Window]:
    case = draw(conv_cases(depthwise=depthwise, max_channels=max_channels))
    taps = draw(st.integers(1, 7))
    pads = draw(st.integers(0, taps - 1)), draw(st.integers(0, taps - 1))
    while case.length_out + sum(pads) < taps:
        taps, pads = 1, (0, 0)
    stride = taps + draw(st.sampled_from([0, 0, 0, 1]))
    return case, Window(case.length_out, case.c_out, taps, stride, pads)


def expected(case: ConvCase, window: Window) -> Array:
    codes = case.expected()
    rows = []
    for position in range(window.length_out):
        start = position * window.stride - window.pads[0]
        rows.append(codes[max(0, start) : start + window.kernel].max(axis=0))
    return np.stack(rows)


def pooled(case: ConvCase, window: Window, isa: Isa) -> Kernel | None:
    kernel = case.kernel_for(isa)
    return None if kernel.pooled is None else kernel.pooled(window)


@settings(max_examples=40, deadline=None, derandomize=True, database=None)
@given(st.booleans().flatmap(pooled_cases))
def test_plain_loops_pool_their_sums(drawn: tuple[ConvCase, Window]) -> None:
    case, window = drawn
    kernel = pooled(case, window, "generic")
    assert kernel is not None
    wanted = expected(case, window)
    out = run_host(kernel, case.arrays()[0], size=wanted.size, dtype="int8")
    np.testing.assert_array_equal(out.reshape(wanted.shape), wanted, f"{case} {window.label}")


def _conv(isa: Isa, length: int, channels: int, w_scale: float) -> Kernel:
    return conv1d.build(
        isa=isa,
        shape=ConvShape(
            length=length,
            c_in=channels,
            c_out=8,
            kernel=9,
            stride=1,
            dilation=1,
            pads=(4, 4),
            groups=1,
        ),
        weights=Weights(
            weight=np.ones((8, channels, 9), np.int8),
            x=QParams(0.1, 3),
            w_scale=np.full(8, w_scale, np.float32),
            y=QParams(0.2, 5),
        ),
    )


@pytest.mark.parametrize("isa", ["mve", "generic"])
def test_operators_stay_apart_where_pooling_sums_is_wrong_or_dear(isa: Isa) -> None:
    build = _conv(isa, 64, 8, 0.1).pooled
    assert build is not None
    assert build(Window(64, 8, 4, 4, (0, 0))) is not None
    assert build(Window(64, 8, 3, 2, (0, 0))) is None, "overlapping windows compute sums twice"
    assert _conv(isa, 64, 8, -0.1).pooled is None, "a negative step turns maxima into minima"


def test_tiles_that_share_loads_are_kept_for_their_own_sake() -> None:
    build = _conv("mve", 256, 64, 0.1).pooled
    assert build is not None
    assert build(Window(256, 8, 4, 4, (0, 0))) is None


def test_only_an_int8_maximum_can_be_pooled_elsewhere() -> None:
    window = {"length": 8, "channels": 4, "kernel": 2, "stride": 2, "pads": (0, 0)}
    q = QParams(0.1, 0)
    common = {**window, "isa": "generic", "count_include_pad": False}
    assert pool.build(**common, kind="max", x=q, y=q).maximum is not None
    assert pool.build(**common, kind="avg", x=q, y=q).maximum is None
    assert pool.build(**common, kind="max", x=None, y=None).maximum is None


@pytest.mark.device
@pytest.mark.skipif(not available(), reason="needs arm-none-eabi-gcc and qemu-system-arm")
def test_helium_kernels_pool_their_sums() -> None:
    trials = []
    for case, window in drawn_cases():
        kernel = pooled(case, window, "mve")
        if kernel is not None:
            data = case.arrays()[0]
            trials.append(Trial(kernel, (data,), expected(case, window), int(case.c_in == 1)))
    kinds = [trial.kernel.name.split("_")[0] for trial in trials]
    assert kinds.count("conv1d") > 15
    assert kinds.count("depthwise") > 10
    for trial, outcome in zip(trials, run_device(trials), strict=True):
        np.testing.assert_array_equal(outcome.out, trial.expected, trial.kernel.name)
        assert not outcome.overrun, trial.kernel.name


def drawn_cases() -> list[tuple[ConvCase, Window]]:
    """Draw the same cases in every run."""
    cases: list[tuple[ConvCase, Window]] = []

    @settings(
        max_examples=30,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(pooled_cases(False, 40), pooled_cases(True, 40))
    def collect(dense: tuple[ConvCase, Window], depthwise: tuple[ConvCase, Window]) -> None:
        cases.extend((dense, depthwise))

    collect()
    return cases
