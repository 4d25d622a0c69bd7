"""Networks of two dimensions: a scalogram CNN, an MBConv stack and a mix of what else there is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.deploy.nets import Net

N_CLASSES = 4


def _conv(
    net: Net,
    x: str,
    c_in: int,
    c_out: int,
    kernel: tuple[int, int],
    stride: tuple[int, int] = (1, 1),
    group: int = 1,
    dilation: tuple[int, int] = (1, 1),
) -> str:
    half = [(k - 1) * d // 2 for k, d in zip(kernel, dilation, strict=True)]
    return net.op(
        "Conv",
        x,
        net.weight(c_out, c_in // group, *kernel),
        net.weight(c_out),
        kernel_shape=list(kernel),
        strides=list(stride),
        pads=half * 2,
        group=group,
        dilations=list(dilation),
    )


def _head(net: Net, x: str, channels: int, path: Path, shape: list[int]) -> Path:
    x = net.op("Flatten", net.op("GlobalAveragePool", x))
    return net.save(net.dense(x, channels, N_CLASSES), N_CLASSES, path, input_shape=shape)


def scalogram_cnn(path: Path, side: int = 100) -> Path:
    """The usual small CNN over the scalogram of a beat."""
    net = Net()
    x = net.op("Relu", _conv(net, "x", 1, 8, (5, 5), (2, 2)))
    x = net.op("Relu", _conv(net, x, 8, 16, (3, 3), (2, 2)))
    x = net.op("Relu", _conv(net, x, 16, 32, (3, 3), (2, 2)))
    return _head(net, x, 32, path, [1, 1, side, side])


def mbconv(path: Path, side: int = 48) -> Path:
    """Two inverted bottlenecks with squeeze-excite, one of them residual, on two channels."""
    net = Net()
    x = _swish(net, _conv(net, "x", 2, 16, (3, 3), (2, 2)))
    for stride, c_out, kernel in ((1, 16, 3), (2, 24, 5)):
        skip, wide = x, 48
        x = _swish(net, _conv(net, x, 16, wide, (1, 1)))
        x = _swish(net, _conv(net, x, wide, wide, (kernel, kernel), (stride, stride), group=wide))
        gate = net.op("Relu", _conv(net, net.op("GlobalAveragePool", x), wide, 8, (1, 1)))
        x = net.op("Mul", x, net.op("Sigmoid", _conv(net, gate, 8, wide, (1, 1))))
        x = _conv(net, x, wide, c_out, (1, 1))
        x = net.op("Add", x, skip) if stride == 1 else x
    return _head(net, x, 24, path, [1, 2, side, side])


def _swish(net: Net, x: str) -> str:
    return net.op("Mul", x, net.op("Sigmoid", x))


def odds_and_ends(path: Path) -> Path:
    """Uneven sides, kernels and strides; both poolings; groups, dilation, concatenation, dense."""
    net = Net()
    x = net.op("Relu", _conv(net, "x", 1, 12, (3, 7), (1, 2)))
    x = net.op("MaxPool", x, kernel_shape=[2, 3], strides=[2, 2], pads=[0, 1, 0, 1])
    left = net.op("Relu", _conv(net, x, 12, 6, (3, 3), group=3))
    right = _conv(net, x, 12, 10, (3, 3), dilation=(2, 1))
    x = net.op("Concat", left, right, axis=1)
    statistics = (net.weight(16), net.weight(16), net.weight(16), net.const([0.7] * 16))
    x = net.op("Relu", net.op("BatchNormalization", x, *statistics))
    x = net.op("AveragePool", x, kernel_shape=[2, 2], strides=[2, 2])
    x = net.op("Flatten", x)
    return net.save(net.dense(x, 16 * 5 * 5, N_CLASSES), N_CLASSES, path, [1, 1, 21, 41])


SPECTROGRAMS: dict[str, Callable[[Path], Path]] = {
    build.__name__: build for build in (scalogram_cnn, mbconv, odds_and_ends)
}
