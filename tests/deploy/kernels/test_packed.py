"""Weights of -8 to 7, two to a byte: the same bytes out as with one to a byte."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import pytest
from device_harness import Trial, available, run_device
from shapes import Array, ConvCase, conv_cases
from test_device import check, draw

from ecgexp.deploy.kernels import Isa, Kernel, QParams, conv1d, dense
from ecgexp.deploy.kernels.conv_shape import ConvShape
from ecgexp.deploy.kernels.weights import Weights
from ecgexp.deploy.kernels.window import Window

_on_device = pytest.mark.skipif(
    not available(), reason="needs arm-none-eabi-gcc and qemu-system-arm"
)
Q = QParams(0.1, 3)


@dataclass(frozen=True)
class NarrowCase(ConvCase):
    """A convolution whose weights lie between -8, or -7, and 7."""

    @classmethod
    def of(cls, case: ConvCase) -> NarrowCase:
        return cls(**{field.name: getattr(case, field.name) for field in fields(case)})

    def arrays(self) -> tuple[Array, Array, Array | None, Array]:
        x, weight, bias, w_scale = super().arrays()
        lowest = -8 if self.seed % 2 else -7
        narrow = np.maximum(weight >> 4, lowest).astype(np.int8)
        return x, narrow, None if bias is None else bias // 16, w_scale * np.float32(16)

    def kernel_for(self, isa: Isa, *, pack: bool = True) -> Kernel:
        _, weight, bias, w_scale = self.arrays()
        shape = ConvShape(
            length=self.length,
            c_in=self.c_in,
            c_out=self.c_out,
            kernel=self.kernel,
            stride=self.stride,
            dilation=self.dilation,
            pads=self.pads,
            groups=self.groups,
        )
        weights = Weights(
            weight=weight,
            bias=bias,
            x=self.x,
            w_scale=w_scale,
            y=self.y,
            clamp=self.clamp,
            pack=pack,
        )
        return conv1d.build(isa=isa, shape=shape, weights=weights)


def _layer(weight: Any, *, pack: bool, bias: int = 0, scale: float = 0.01) -> Kernel:
    weights = Weights(
        weight=np.asarray(weight, np.int8),
        bias=np.full(len(weight), bias, np.int32),
        x=Q,
        w_scale=np.full(len(weight), scale, np.float32),
        y=Q,
        pack=pack,
    )
    return dense.build(isa="mve", weights=weights)


def test_packed_weights_take_half_the_bytes() -> None:
    rng = np.random.default_rng(1)
    weight = rng.integers(-8, 8, (32, 64))
    wide, narrow = (_layer(weight, pack=pack) for pack in (False, True))
    assert wide.name == "dense_int8_i64o32"
    assert narrow.name == "dense_int4_i64o32"
    assert narrow.constants[0].nbytes * 2 == wide.constants[0].nbytes
    assert wide.constants[0].nbytes == weight.size


@pytest.mark.parametrize(
    "kernel",
    [
        _layer([[8, 0], [0, 0]], pack=True),
        _layer([[-9, 0], [0, 0]], pack=True),
        _layer([[7, 0], [0, 0]], pack=True, bias=2**27),
        _layer([[7, 0], [0, 0]], pack=True, scale=1e-33),
        _layer([[7, 0], [0, 0]], pack=False),
    ],
    ids=["eight", "minus nine", "sums leave int32", "scale underflows", "not asked for"],
)
def test_what_cannot_be_exact_stays_at_one_to_a_byte(kernel: Kernel) -> None:
    assert kernel.name.startswith("dense_int8_")


def test_other_cores_keep_one_to_a_byte() -> None:
    case = NarrowCase.of(draw(conv_cases(depthwise=False), 1)[0])
    for isa in ("dsp", "generic"):
        packed, plain = (case.kernel_for(isa, pack=pack) for pack in (True, False))
        assert packed.name == plain.name
        np.testing.assert_array_equal(packed.constants[0], plain.constants[0])


@_on_device
@pytest.mark.device
def test_random_convolutions_are_exact() -> None:
    cases = [NarrowCase.of(c) for c in draw(conv_cases(depthwise=False, max_channels=40), 24)]
    trials, labels = [], []
    for case in cases:
        kernel = case.kernel_for("mve")
        trials.append(Trial(kernel, (case.arrays()[0],), case.expected(), int(case.c_in == 1)))
        labels.append(f"{kernel.name} {case}")
    assert sum("_int4_" in trial.kernel.name for trial in trials) > 15
    assert {case.arrays()[1].min() for case in cases} >= {-8, -7}
    check(trials, labels)


@_on_device
@pytest.mark.device
@pytest.mark.parametrize("seed", [1, 2])
def test_pooled_and_tuned_convolutions_are_exact(seed: int) -> None:
    base = draw(conv_cases(depthwise=False), 1)[0]
    case = NarrowCase.of(
        replace(
            base,
            length=24,
            c_in=16,
            c_out=10,
            kernel=3,
            stride=1,
            dilation=1,
            pads=(1, 1),
            groups=1,
            extreme=0,
            seed=seed,
        )
    )
    kernel, (x, *_), expected = case.kernel_for("mve"), case.arrays(), case.expected()
    assert kernel.variants is not None
    assert kernel.pooled is not None
    pooled = kernel.pooled(Window(24, 10, 2, 2, (0, 0)))
    assert pooled is not None
    assert "_int4_" in pooled.name
    trials = [Trial(build(), (x,), expected) for build in kernel.variants.build.values()]
    trials.append(Trial(pooled, (x,), expected.reshape(12, 2, 10).max(1)))
    for trial, outcome in zip(trials, run_device(trials), strict=True):
        np.testing.assert_array_equal(outcome.out, trial.expected, trial.kernel.name)
