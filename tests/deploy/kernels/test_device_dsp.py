"""Kernels of the DSP extension on the emulated Cortex-M33, bit by bit."""

from __future__ import annotations

import numpy as np
import pytest
from device_harness import M33, Trial, available
from operators import dense_cases
from shapes import conv_cases
from test_device import check, draw

from ecgexp.deploy.kernels import QParams, conv1d
from ecgexp.deploy.kernels.conv_shape import ConvShape
from ecgexp.deploy.kernels.weights import Weights

pytestmark = [
    pytest.mark.device,
    pytest.mark.skipif(not available(), reason="needs arm-none-eabi-gcc and qemu-system-arm"),
]


def test_random_layers_are_exact() -> None:
    convs = [c for depthwise in (False, True) for c in draw(conv_cases(depthwise=depthwise), 12)]
    dense = draw(dense_cases(), 6)
    trials = [
        Trial(c.kernel_for("dsp"), (c.arrays()[0],), c.expected(), 1 + index % 3)
        for index, c in enumerate(convs)
    ]
    trials += [Trial(c.kernel("dsp"), c.inputs, c.expected, 1) for c in dense]
    check(trials, [str(c) for c in convs] + [c.label for c in dense], M33)


def test_weights_and_sums_that_cannot_share_halfwords_are_exact() -> None:
    """-128 beside a negative weight leaves no halfword; 600 of 127 leave no room for the sum."""
    trials = []
    for c_in, value in ((6, -128), (600, 127)):
        scale = np.full(2, 200 / (c_in * 128 * 128), np.float32)
        weight = np.full((2, c_in, 1), value, np.int8)
        x = np.stack([np.where(np.arange(c_in) % n, 127, -128) for n in (7, 3, 2)]).astype(np.int8)
        kernel = conv1d.build(
            isa="dsp",
            shape=ConvShape(
                length=3,
                c_in=c_in,
                c_out=2,
                kernel=1,
                stride=1,
                dilation=1,
                pads=(0, 0),
                groups=1,
            ),
            weights=Weights(
                weight=weight,
                x=QParams(1.0, 0),
                w_scale=scale,
                y=QParams(1.0, 3),
            ),
        )
        sums = (x.astype(np.int64) @ weight[:, :, 0].T.astype(np.int64)).astype(np.float32)
        steps = np.rint(sums * scale) + 3
        trials.append(Trial(kernel, (x,), np.clip(steps, -128, 127).astype(np.int8), 1))
        assert np.unique(trials[-1].expected).size == 3
    check(trials, ["lowest weight", "wide sum"], M33)
