"""One small network per operator, each ending in class logits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from tests.deploy.nets import Net

N_CLASSES = 3


def _head(net: Net, x: str, channels: int, path: Path) -> Path:
    """End in a mean over time and a dense layer."""
    flat = net.op("ReduceMean", x, net.const([2], np.int64), keepdims=0)
    return net.save(net.dense(flat, channels, N_CLASSES), N_CLASSES, path)


def _flat_head(net: Net, x: str, channels: int, length: int, path: Path) -> Path:
    """End in a dense layer over all samples, whose weights must follow the device's layout."""
    flat = net.op("Flatten", x)
    return net.save(net.dense(flat, channels * length, N_CLASSES), N_CLASSES, path)


def conv_strided(path: Path) -> Path:
    net = Net(leads=2)
    x = net.op("Relu", net.conv("x", 2, 8, 5, strides=[2], pads=[1, 2]))
    return _flat_head(net, x, 8, 20, path)


def conv_grouped_dilated(path: Path) -> Path:
    net = Net()
    x = net.op("Relu", net.conv("x", 1, 8, 3, pads=[1, 1]))
    x = net.conv(x, 8, 12, 3, group=4, dilations=[2], pads=[2, 2])
    return _head(net, x, 12, path)


def conv_depthwise(path: Path) -> Path:
    net = Net()
    x = net.op("Relu", net.conv("x", 1, 16, 3, pads=[1, 1]))
    x = net.op("Relu", net.conv(x, 16, 16, 9, group=16, pads=[4, 4]))
    return _head(net, x, 16, path)


def conv_auto_pad(path: Path) -> Path:
    net = Net(samples=41)
    x = net.op("Relu", net.conv("x", 1, 8, 4, strides=[2], auto_pad="SAME_UPPER"))
    x = net.op("Relu", net.conv(x, 8, 8, 4, strides=[2], auto_pad="SAME_LOWER"))
    x = net.conv(x, 8, 8, 3, auto_pad="VALID")
    return _head(net, x, 8, path)


def conv_after_pad(path: Path) -> Path:
    net = Net()
    x = net.op("Pad", "x", net.const([0, 0, 3, 0, 0, 4], np.int64))
    x = net.op("Relu", net.conv(x, 1, 8, 9, strides=[2]))
    x = net.op("Pad", x, net.const([0, 0, 1, 0, 0, 0], np.int64))
    return _head(net, net.conv(x, 8, 8, 2), 8, path)


def conv_two_dimensional(path: Path) -> Path:
    net = Net(leads=2)
    x = net.op("Unsqueeze", "x", net.const([2], np.int64))
    weight, bias = net.weight(8, 2, 1, 5), net.weight(8)
    x = net.op("Conv", x, weight, bias, kernel_shape=[1, 5], pads=[0, 2, 0, 2], strides=[1, 2])
    x = net.op("Relu", x)
    x = net.op("MaxPool", x, kernel_shape=[1, 2], strides=[1, 2])
    x = net.op("GlobalAveragePool", x)
    return net.save(net.dense(net.op("Flatten", x), 8, N_CLASSES), N_CLASSES, path)


def batch_norm(path: Path) -> Path:
    net = Net()
    x = net.conv("x", 1, 8, 5, pads=[2, 2])
    statistics = (net.weight(8), net.weight(8), net.weight(8), net.const(np.full(8, 0.7)))
    x = net.op("Relu", net.op("BatchNormalization", x, *statistics))
    return _head(net, net.conv(x, 8, 8, 1), 8, path)


def batch_norm_first(path: Path) -> Path:
    """A pre-activation block, whose normalisation follows no convolution."""
    net = Net()
    x = net.op("MaxPool", net.conv("x", 1, 8, 5, pads=[2, 2]), kernel_shape=[2], strides=[2])
    statistics = (net.weight(8), net.weight(8), net.weight(8), net.const(np.full(8, 0.7)))
    x = net.op("Relu", net.op("BatchNormalization", x, *statistics))
    return _head(net, net.conv(x, 8, 8, 1), 8, path)


def _activation(kind: str, **attrs: float) -> Callable[[Path], Path]:
    def build(path: Path) -> Path:
        net = Net()
        x = net.conv("x", 1, 8, 5, pads=[2, 2])
        return _head(net, net.conv(net.op(kind, x, **attrs), 8, 8, 3), 8, path)

    return build


def clip(path: Path) -> Path:
    net = Net()
    x = net.conv("x", 1, 8, 5, pads=[2, 2])
    x = net.op("Clip", x, net.const(0.0), net.const(1.5))
    return _head(net, net.conv(x, 8, 8, 3), 8, path)


def silu(path: Path) -> Path:
    net = Net()
    x = net.conv("x", 1, 8, 5, pads=[2, 2])
    x = net.op("Mul", x, net.op("Sigmoid", x))
    return _head(net, net.conv(x, 8, 8, 3), 8, path)


def gelu(path: Path) -> Path:
    net = Net(opset=20)
    x = net.conv("x", 1, 8, 5, pads=[2, 2])
    return _head(net, net.conv(net.op("Gelu", x), 8, 8, 3), 8, path)


def gelu_spelt_out(path: Path) -> Path:
    net = Net()
    x = net.conv("x", 1, 8, 5, pads=[2, 2])
    bent = net.op("Erf", net.op("Div", x, net.const(np.sqrt(2.0))))
    y = net.op("Mul", x, net.op("Add", bent, net.const(1.0)))
    return _head(net, net.conv(net.op("Mul", y, net.const(0.5)), 8, 8, 3), 8, path)


def max_pool(path: Path) -> Path:
    net = Net(samples=41)
    x = net.op("Relu", net.conv("x", 1, 8, 5, pads=[2, 2]))
    x = net.op("MaxPool", x, kernel_shape=[3], strides=[2], pads=[1, 1])
    x = net.op("MaxPool", x, kernel_shape=[2], strides=[2], ceil_mode=1)
    return _flat_head(net, x, 8, 11, path)


def average_pool(path: Path) -> Path:
    net = Net()
    x = net.conv("x", 1, 8, 5, pads=[2, 2])
    x = net.op("AveragePool", x, kernel_shape=[4], strides=[2], pads=[1, 1])
    x = net.op("AveragePool", x, kernel_shape=[3], strides=[2], pads=[1, 1], count_include_pad=1)
    return _flat_head(net, x, 8, 10, path)


def squeeze_excite(path: Path) -> Path:
    net = Net()
    x = net.op("Relu", net.conv("x", 1, 16, 5, pads=[2, 2]))
    gate = net.op("GlobalAveragePool", x)
    gate = net.op("Clip", net.conv(gate, 16, 4, 1), net.const(0.0), net.const(6.0))
    gate = net.op("HardSigmoid", net.conv(gate, 4, 16, 1), alpha=1 / 6, beta=0.5)
    return _head(net, net.conv(net.op("Mul", x, gate), 16, 8, 1), 8, path)


def residual(path: Path) -> Path:
    net = Net()
    x = net.op("Relu", net.conv("x", 1, 8, 5, pads=[2, 2]))
    y = net.conv(x, 8, 8, 3, pads=[1, 1])
    return _head(net, net.op("Relu", net.op("Add", x, y)), 8, path)


def bottleneck_add(path: Path) -> Path:
    net = Net()
    x = net.op("Relu", net.conv("x", 1, 8, 5, pads=[2, 2]))
    y = net.op("GlobalMaxPool", x)
    return _head(net, net.op("Add", net.conv(y, 8, 8, 1), x), 8, path)


def concat_channels(path: Path) -> Path:
    net = Net()
    x = net.op("Relu", net.conv("x", 1, 6, 5, pads=[2, 2]))
    y = net.conv("x", 1, 10, 3, pads=[1, 1])
    return _head(net, net.conv(net.op("Concat", x, y, axis=1), 16, 8, 3), 8, path)


def concat_time(path: Path) -> Path:
    net = Net()
    x = net.op("Relu", net.conv("x", 1, 8, 5, pads=[2, 2]))
    y = net.op("MaxPool", x, kernel_shape=[2], strides=[2])
    return _head(net, net.conv(net.op("Concat", x, y, axis=2), 8, 8, 3), 8, path)


def reduce_max(path: Path) -> Path:
    net = Net()
    x = net.op("Relu", net.conv("x", 1, 8, 5, pads=[2, 2]))
    x = net.op("ReduceMax", x, net.const([2], np.int64), keepdims=0)
    return net.save(net.dense(x, 8, N_CLASSES), N_CLASSES, path)


def views(path: Path) -> Path:
    net = Net(leads=2, samples=24)
    x = net.op("Relu", net.conv("x", 2, 8, 5, pads=[2, 2]))
    x = net.op("Unsqueeze", x, net.const([3], np.int64))
    x = net.op("Squeeze", x, net.const([3], np.int64))
    x = net.op("Transpose", x, perm=[0, 2, 1])
    x = net.op("Reshape", x, net.const([1, -1], np.int64))
    x = net.op("Relu", net.dense(x, 192, 10))
    return net.save(net.dense(x, 10, N_CLASSES), N_CLASSES, path)


def transposed_input(path: Path) -> Path:
    net = Net(leads=24, samples=3)
    x = net.op("Transpose", "x", perm=[0, 2, 1])
    x = net.op("Relu", net.conv(x, 3, 8, 5, pads=[2, 2]))
    return _head(net, x, 8, path)


def dense_only(path: Path) -> Path:
    net = Net()
    x = net.op("MatMul", "x", net.weight(20, 16))
    x = net.op("Relu", net.op("Add", x, net.weight(16)))
    x = net.op("MatMul", x, net.weight(16, N_CLASSES))
    return net.save(x, N_CLASSES, path, input_shape=[1, 20])


def softmax(path: Path) -> Path:
    net = Net()
    x = net.op("Relu", net.conv("x", 1, 8, 5, pads=[2, 2]))
    x = net.op("ReduceMean", x, net.const([2], np.int64), keepdims=0)
    x = net.op("Softmax", net.dense(x, 8, N_CLASSES), axis=-1)
    return net.save(x, N_CLASSES, path)


def pad_then_pool(path: Path) -> Path:
    """Padding that no convolution takes in: it has to be laid out in memory."""
    net = Net(leads=2)
    x = net.conv("x", 2, 8, 5, pads=[2, 2])
    x = net.op("Pad", x, net.const([0, 0, 1, 0, 0, 2], np.int64), net.const(0.25))
    x = net.op("AveragePool", x, kernel_shape=[3], strides=[2])
    x = net.op("Pad", x, net.const([0, 0, 3, 0, 0, 0], np.int64))
    return _flat_head(net, net.op("MaxPool", x, kernel_shape=[2], strides=[2]), 8, 12, path)


def pad_channels(path: Path) -> Path:
    """A shortcut that gains silent channels, as pre-activation residual networks have it."""
    net = Net()
    x = net.op("Relu", net.conv("x", 1, 6, 5, pads=[2, 2]))
    y = net.op("Pad", x, net.const([0, 2, 0, 0, 3, 0], np.int64))
    return _head(net, net.op("Add", net.conv(x, 6, 11, 3, pads=[1, 1]), y), 11, path)


def scalar_arithmetic(path: Path) -> Path:
    net = Net()
    x = net.op("Relu", net.conv("x", 1, 8, 5, pads=[2, 2]))
    x = net.op("Sub", net.op("Mul", x, net.const(1.7)), net.const(0.3))
    x = net.op("Add", net.const(0.1), net.op("Div", x, net.const(3.0)))
    return _head(net, net.conv(x, 8, 8, 3), 8, path)


def max_of_a_bent_function(path: Path) -> Path:
    """A maximum over a function that is not monotone: its codes cannot be compared before it."""
    net = Net()
    x = net.conv("x", 1, 8, 5, pads=[2, 2])
    x = net.op("Mul", x, net.op("Sigmoid", x))
    x = net.op("MaxPool", x, kernel_shape=[2], strides=[2])
    return _head(net, net.conv(x, 8, 8, 3), 8, path)


def two_readers(path: Path) -> Path:
    """One result read by several operators, as float sums and as table alike."""
    net = Net()
    x = net.conv("x", 1, 8, 5, pads=[2, 2])
    total = net.op("Add", net.op("Relu", x), net.op("Tanh", x))
    total = net.op("Add", total, x)
    return _head(net, net.op("Mul", total, net.op("GlobalMaxPool", x)), 8, path)


ZOO: dict[str, Callable[[Path], Path]] = {
    build.__name__: build
    for build in (
        conv_strided,
        conv_grouped_dilated,
        conv_depthwise,
        conv_auto_pad,
        conv_after_pad,
        conv_two_dimensional,
        batch_norm,
        batch_norm_first,
        clip,
        silu,
        gelu,
        gelu_spelt_out,
        max_pool,
        average_pool,
        squeeze_excite,
        residual,
        bottleneck_add,
        concat_channels,
        concat_time,
        reduce_max,
        views,
        transposed_input,
        dense_only,
        softmax,
        pad_then_pool,
        pad_channels,
        scalar_arithmetic,
        max_of_a_bent_function,
        two_readers,
    )
}
ZOO["relu"] = _activation("Relu")
ZOO["sigmoid"] = _activation("Sigmoid")
ZOO["tanh"] = _activation("Tanh")
ZOO["leaky_relu"] = _activation("LeakyRelu", alpha=0.1)
ZOO["hard_sigmoid"] = _activation("HardSigmoid", alpha=0.2, beta=0.5)
ZOO["hard_swish"] = _activation("HardSwish")


def int8_with_ties(path: Path) -> Path:
    """An int8 layer every other sum of which lies on a tie: float32 sums round across some."""
    net = Net()
    scales = np.float32([0.1, 0.03])
    s_x, s_w = (net.const(scale) for scale in scales)
    s_y, zero = net.const(2 * np.prod(scales)), net.const(0, np.int8)
    x = net.op("DequantizeLinear", net.op("QuantizeLinear", "x", s_x, zero), s_x, zero)
    codes = net.const(net.random.integers(-4, 5, (20, N_CLASSES)), np.int8)
    y = net.op("MatMul", x, net.op("DequantizeLinear", codes, s_w, zero))
    y = net.op("DequantizeLinear", net.op("QuantizeLinear", y, s_y, zero), s_y, zero)
    return net.save(y, N_CLASSES, path, input_shape=[1, 20])
