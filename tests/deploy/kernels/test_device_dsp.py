"""Kernels of the DSP extension on the emulated Cortex-M55, which has it too, bit by bit."""

from __future__ import annotations

import pytest
from device_harness import Trial, available
from operators import dense_cases
from shapes import conv_cases
from test_device import check, draw

pytestmark = [
    pytest.mark.device,
    pytest.mark.skipif(not available(), reason="needs arm-none-eabi-gcc and qemu-system-arm"),
]


@pytest.mark.parametrize("depthwise", [False, True])
def test_random_convolutions_are_exact(depthwise: bool) -> None:
    cases = draw(conv_cases(depthwise=depthwise, max_channels=40), 40)
    trials = [
        Trial(c.kernel_for("dsp"), (c.arrays()[0],), c.expected(), 1 + index % 3)
        for index, c in enumerate(cases)
    ]
    check(trials, [str(c) for c in cases])


def test_random_dense_layers_are_exact() -> None:
    cases = draw(dense_cases(), 20)
    trials = [Trial(c.kernel("dsp"), c.inputs, c.expected, 1) for c in cases]
    check(trials, [c.label for c in cases])
