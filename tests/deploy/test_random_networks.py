"""Random small networks: shapes that nobody thought of."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ecgexp.deploy.deployer import Deployer
from ecgexp.quantization.bundle import bundle_from_onnx
from tests.deploy import nets
from tests.deploy.conftest import deployer_options, load_target
from tests.deploy.nets import Net


class Builder:
    """Append random layers to a signal of `channels` x `length`."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.channels = int(self.random.integers(1, 4))
        self.length = int(self.random.integers(24, 90))
        self.net = Net(leads=self.channels, samples=self.length, seed=seed)
        self.x = "x"

    def _pick(self, *values: int) -> int:
        return int(self.random.choice(values))

    def conv(self) -> None:
        kernel = self._pick(1, 2, 3, 5, 8, 9, 16, 17)
        dilation = self._pick(1, 1, 1, 2)
        span = (kernel - 1) * dilation + 1
        pads = [int(self.random.integers(0, span)), int(self.random.integers(0, span))]
        stride = self._pick(1, 1, 2, 3)
        if self.length + sum(pads) < span + 4 * stride:
            return
        depthwise = self.channels > 1 and self.random.random() < 0.35
        groups = self.channels if depthwise else 1
        c_out = self.channels if depthwise else int(self.random.integers(1, 41))
        if not depthwise and self.channels % 2 == 0 and self.random.random() < 0.2:
            groups, c_out = 2, c_out // 2 * 2 + 2
        self.x = self.net.conv(
            self.x,
            self.channels,
            c_out,
            kernel,
            strides=[stride],
            dilations=[dilation],
            pads=pads,
            group=groups,
        )
        self.length = (self.length + sum(pads) - span) // stride + 1
        self.channels = c_out

    def activation(self) -> None:
        kind = self.random.choice(["Relu", "Sigmoid", "LeakyRelu", "HardSwish", "Clip", "Tanh"])
        if kind == "Clip":
            low, high = self.net.const(0.0), self.net.const(6.0)
            self.x = self.net.op("Clip", self.x, low, high)
        else:
            self.x = self.net.op(str(kind), self.x)

    def pool(self) -> None:
        kernel, stride = self._pick(2, 3, 4), self._pick(1, 2)
        if self.length < kernel + 4:
            return
        kind = "MaxPool" if self.random.random() < 0.6 else "AveragePool"
        pads = [self._pick(0, 1), self._pick(0, 1)]
        self.x = self.net.op(kind, self.x, kernel_shape=[kernel], strides=[stride], pads=pads)
        self.length = (self.length + sum(pads) - kernel) // stride + 1

    def residual(self) -> None:
        skip = self.x
        y = self.net.conv(self.x, self.channels, self.channels, 3, pads=[1, 1])
        self.x = self.net.op("Add", self.net.op("Relu", y), skip)

    def gate(self) -> None:
        mean = self.net.op("GlobalAveragePool", self.x)
        gate = self.net.op("Sigmoid", self.net.conv(mean, self.channels, self.channels, 1))
        self.x = self.net.op("Mul", self.x, gate)

    def branch(self) -> None:
        left = self.net.conv(self.x, self.channels, 7, 3, pads=[1, 1])
        right = self.net.op("Relu", self.net.conv(self.x, self.channels, 9, 1))
        self.x = self.net.op("Concat", left, right, axis=1)
        self.channels = 16

    def build(self, path: Path) -> Path:
        layers = (self.conv, self.activation, self.pool, self.residual, self.gate, self.branch)
        self.conv()
        for _ in range(int(self.random.integers(3, 8))):
            weights = (0.35, 0.2, 0.15, 0.1, 0.1, 0.1)
            layers[int(self.random.choice(len(layers), p=weights))]()
        self.conv()
        if self.random.random() < 0.5:
            flat = self.net.op("Flatten", self.x)
            return self.net.save(self.net.dense(flat, self.channels * self.length, 5), 5, path)
        mean = self.net.op("ReduceMean", self.x, self.net.const([2], np.int64), keepdims=0)
        return self.net.save(self.net.dense(mean, self.channels, 5), 5, path)


def _check(seed: int, folder: Path) -> None:
    float_onnx = Builder(seed).build(folder / "float.onnx")
    int8_onnx = nets.quantize(float_onnx, folder / "int8.onnx")
    x = nets.windows(float_onnx, 20)
    for onnx in (float_onnx, int8_onnx):
        compiled = nets.compile_host(onnx, folder)
        difference = nets.run_host(compiled, x, folder) - nets.reference(onnx, x)
        if compiled.program.quantized:
            assert compiled.program.float_ops == ()
            # A tie in the middle of a network may fall to the other side: one step, seldom.
            steps = np.abs(difference) / compiled.library.output_scale
            assert np.max(steps) < 2.5
            assert np.mean(steps > 0.5) < 0.04
        else:
            assert np.max(np.abs(difference)) < 1e-5 * np.max(np.abs(nets.reference(onnx, x)))
        assert compiled.arena.n_bytes <= 1.2 * compiled.arena.lower_bound


@pytest.mark.parametrize("seed", range(6))
def test_random_network_on_this_machine(seed: int, tmp_path: Path) -> None:
    _check(seed, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6, 20))
def test_more_random_networks_on_this_machine(seed: int, tmp_path: Path) -> None:
    _check(seed, tmp_path)


@pytest.mark.slow
@pytest.mark.device
@pytest.mark.usefixtures("need_device")
@pytest.mark.parametrize("seed", range(100, 102))
def test_random_network_gives_the_same_bits_on_the_emulator_and_here(
    seed: int, tmp_path: Path
) -> None:
    onnx = nets.quantize(Builder(seed).build(tmp_path / "f.onnx"), tmp_path / "q.onnx")
    bundle = bundle_from_onnx(onnx, None, tmp_path / "bundle", seed=1, n_golden=6)
    deployer = Deployer(**deployer_options(tmp_path / "cache", n_golden=6, profile="none"))
    device = deployer.deploy(bundle, load_target("corstone300_m55"), tmp_path / "m55")
    host = deployer.deploy(bundle, load_target("host"), tmp_path / "host")
    assert [i.equal for i in device.inferences] == [i.equal for i in host.inferences]
    assert [i.label for i in device.inferences] == [i.label for i in host.inferences]
    assert [i.confidence for i in device.inferences] == pytest.approx(
        [i.confidence for i in host.inferences], abs=2e-3
    )
