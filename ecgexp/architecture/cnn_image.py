"""Plain stacks of convolutions over images, such as scalograms of beats."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor, nn

from ecgexp.architecture.blocks import BATCH_NORM_EPS, BATCH_NORM_MOMENTUM, initialise
from ecgexp.architecture.layout import check_images, check_rate, read_records
from ecgexp.types import SignalSpec


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageLayer:
    """One convolution with batch normalisation and ReLU.

    Attributes:
        filters: Channels out.
        kernel: Rows and columns of the convolution; padded by half of it on each side.
        stride: Step of the convolution, down and across.
    """

    filters: int
    kernel: int
    stride: int


class ImageCnn(nn.Module):
    """Strided convolutions, mean over the image, one dense layer.

    Args:
        spec: Leads in and classes out.
        layers: Fields of `ImageLayer`: one mapping per layer, or one mapping with a list per field.
        dropout: Rate before the dense layer.

    Raises:
        ConfigError: A size cannot be used, or windows are no images.
    """

    reads_images: ClassVar[bool] = True

    def __init__(
        self,
        *,
        spec: SignalSpec,
        layers: Sequence[Mapping[str, Any]] | Mapping[str, Any],
        dropout: float,
    ) -> None:
        super().__init__()
        channels = check_images(spec)
        self.features = nn.Sequential()
        for layer in read_records(ImageLayer, layers, "architecture.layers"):
            self.features.extend(
                [
                    nn.Conv2d(
                        channels,
                        layer.filters,
                        layer.kernel,
                        layer.stride,
                        (layer.kernel - 1) // 2,
                        bias=False,
                    ),
                    nn.BatchNorm2d(layer.filters, eps=BATCH_NORM_EPS, momentum=BATCH_NORM_MOMENTUM),
                    nn.ReLU(),
                ]
            )
            channels = layer.filters
        self.dropout = nn.Dropout(check_rate(dropout, "architecture.dropout"))
        self.head = nn.Linear(channels, spec.n_classes)
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        """Map float32 images (batch, lead, row, column) to logits (batch, class)."""
        logits: Tensor = self.head(self.dropout(self.features(x).mean((-2, -1))))
        return logits
