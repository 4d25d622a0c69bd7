from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.deploy import nets
from tests.deploy.nets import Net


def _net(path: Path, *, shared: bool) -> Path:
    """A convolution and a pooling; with `shared` the sums between them have another reader."""
    net = Net()
    between = net.op("Relu", net.conv("x", 1, 8, 5, pads=[2, 2]))
    x = net.op("MaxPool", between, kernel_shape=[4], strides=[4])
    x = net.op("ReduceMean", x, net.const([2], np.int64), keepdims=0)
    if shared:
        x = net.op("Add", x, net.op("ReduceMean", between, net.const([2], np.int64), keepdims=0))
    return nets.quantize(net.save(net.dense(x, 8, 3), 3, path), path.with_suffix(".q.onnx"))


def test_pooled_convolution_needs_no_memory_for_its_sums(tmp_path: Path) -> None:
    onnx = _net(tmp_path / "net.onnx", shared=False)
    compiled = nets.compile_host(onnx, tmp_path)
    names = [step.kernel.name for step in compiled.program.steps]
    assert len(names) == 3
    assert names[0].endswith("_max4")
    assert compiled.program.steps[0].origin == "ONNX Conv 'conv_0' + ONNX MaxPool 'maxpool_2'"
    assert compiled.arena.n_bytes < 40 * 8
    x = nets.windows(onnx, 30)
    np.testing.assert_array_equal(nets.run_host(compiled, x, tmp_path), nets.reference(onnx, x))


def test_sums_that_something_else_reads_stay(tmp_path: Path) -> None:
    onnx = _net(tmp_path / "net.onnx", shared=True)
    compiled = nets.compile_host(onnx, tmp_path)
    names = [step.kernel.name for step in compiled.program.steps]
    assert any(name.startswith("max_pool") for name in names)
    assert not any("_max" in name for name in names if name.startswith("conv1d"))
    x = nets.windows(onnx, 30)
    np.testing.assert_array_equal(nets.run_host(compiled, x, tmp_path), nets.reference(onnx, x))
