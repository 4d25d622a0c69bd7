"""Layers that more than one network uses."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from ecgexp.errors import ConfigError

BATCH_NORM_EPS = 1e-3
BATCH_NORM_MOMENTUM = 0.1
"""In torch's sense; Keras calls the same thing 0.9."""


def same_padding(length: int, kernel: int, stride: int) -> tuple[int, int]:
    """Return the padding that makes the output `ceil(length / stride)` long, as Keras splits it.

    Args:
        length: Samples before padding.
        kernel: Width of the window in samples.
        stride: Step of the window in samples.

    Returns:
        Padding on the left and on the right, in samples; an odd total puts the extra one right.
    """
    total = max((math.ceil(length / stride) - 1) * stride + kernel - length, 0)
    return total // 2, total - total // 2


class SameConv1d(nn.Conv1d):
    """A convolution with Keras' `same` padding for any kernel, stride, dilation and length."""

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, channel, sample) to (batch, filter, ceil(sample / stride))."""
        span = (self.kernel_size[0] - 1) * self.dilation[0] + 1
        left, right = same_padding(x.shape[-1], span, self.stride[0])
        if left != right:
            x = functional.pad(x, (left, right))
            left = 0
        return functional.conv1d(
            x, self.weight, self.bias, self.stride, left, self.dilation, self.groups
        )


class SameMaxPool1d(nn.Module):
    """Max-pooling with Keras' `same` padding.

    Args:
        size: Width of the window in samples.
        stride: Step of the window in samples.
    """

    def __init__(self, size: int, stride: int) -> None:
        super().__init__()
        self.size = size
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, channel, sample) to (batch, channel, ceil(sample / stride))."""
        left, right = same_padding(x.shape[-1], self.size, self.stride)
        cut = right > 0 and self.size <= self.stride
        if cut:
            right = 0  # ceil_mode adds it without a copy
        if left or right:
            x = functional.pad(x, (left, right), value=-math.inf)
        return functional.max_pool1d(x, self.size, self.stride, ceil_mode=cut)


class ValidMaxPool1d(nn.Module):
    """Max-pooling without padding; a window longer than the signal is cut to it.

    Args:
        size: Width of the window in samples.
        stride: Step of the window in samples.
    """

    def __init__(self, size: int, stride: int) -> None:
        super().__init__()
        self.size = size
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, channel, sample) to (batch, channel, (sample - size) // stride + 1)."""
        return functional.max_pool1d(x, min(self.size, x.shape[-1]), self.stride)


def batch_norm(channels: int) -> nn.BatchNorm1d:
    """Return a batch normalisation with Keras' constants."""
    return nn.BatchNorm1d(channels, eps=BATCH_NORM_EPS, momentum=BATCH_NORM_MOMENTUM)


def conv_norm(
    c_in: int, filters: int, kernel: int, *, stride: int = 1, dilation: int = 1, groups: int = 1
) -> nn.Sequential:
    """Return a `same` convolution without bias and the batch normalisation behind it."""
    convolution = SameConv1d(
        c_in, filters, kernel, stride=stride, dilation=dilation, groups=groups, bias=False
    )
    return nn.Sequential(convolution, batch_norm(filters))


class Pooling(nn.Module):
    """Bring a signal of any length down to one vector.

    Args:
        kinds: `mean` and `max` over time, in the order in which they are written.
        path: Where the list stands in the config, for messages.

    Raises:
        ConfigError: The list is empty or holds another word.
    """

    def __init__(self, kinds: Sequence[str], path: str) -> None:
        super().__init__()
        if isinstance(kinds, str) or not kinds or not set(kinds) <= {"mean", "max"}:
            raise ConfigError(f"{path}={kinds!r}: write a list of `mean` and `max`")
        self.kinds = tuple(kinds)

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, channel, sample) to (batch, channel x kind)."""
        pooled = [x.mean(-1) if kind == "mean" else x.amax(-1) for kind in self.kinds]
        return pooled[0] if len(pooled) == 1 else torch.cat(pooled, 1)


class SqueezeExcite(nn.Module):
    """Scale every channel by a gate computed from the means of all channels.

    Args:
        channels: Channels in and out.
        hidden: Channels of the bottleneck.
    """

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.reduce = nn.Conv1d(channels, hidden, 1)
        self.expand = nn.Conv1d(hidden, channels, 1)
        self.gate = nn.Hardsigmoid()

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, channel, sample) to the same shape."""
        # mean() exports as one ReduceMean where AdaptiveAvgPool1d needs three nodes.
        squeezed = functional.relu6(self.reduce(x.mean(-1, keepdim=True)))
        gated: Tensor = x * self.gate(self.expand(squeezed))
        return gated


class DropConnect(nn.Module):
    """Drop a whole residual branch of randomly chosen windows while training.

    Args:
        rate: Probability with which a window loses the branch.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, channel, ...) to the same shape."""
        if not self.training or self.rate == 0.0:
            return x
        keep = 1.0 - self.rate
        one_each = (x.shape[0], *(1 for _ in x.shape[1:]))
        return x * (torch.rand(one_each, device=x.device) < keep) / keep


def initialise(network: nn.Module) -> None:
    """Draw weights as Keras does: He normal for convolutions, Glorot uniform for dense layers."""
    for module in network.modules():
        if isinstance(module, nn.Conv1d | nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        elif isinstance(module, nn.Linear):
            nn.init.xavier_uniform_(module.weight)
        if isinstance(module, nn.Conv1d | nn.Conv2d | nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)
