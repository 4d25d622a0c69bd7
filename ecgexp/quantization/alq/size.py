"""What a code costs to store, everything counted."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from ecgexp.quantization.alq.groups import Groups

Coordinates = Literal["float32", "float16", "int8"]
COORDINATES: tuple[Coordinates, ...] = get_args(Coordinates)
_BYTES = {"float32": 4, "float16": 2, "int8": 1}
_FLOAT = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class Size:
    """Bytes of a network's parameters.

    Attributes:
        weights: Weights of the coded layers.
        basis_bits: Bits of all bases; what the literature calls the size of the network.
        coordinate_bytes: Coordinates of all bases.
        mask_bytes: How many bases each group has, packed.
        scale_bytes: One float32 per output channel; none where coordinates are floating.
        bias_bytes: Biases, 4 bytes each.
    """

    weights: int
    basis_bits: int
    coordinate_bytes: int
    mask_bytes: int
    scale_bytes: int
    bias_bytes: int

    @property
    def bits_per_weight(self) -> float:
        """Bits of the bases for each weight."""
        return self.basis_bits / self.weights

    @property
    def total_bytes(self) -> int:
        """Everything."""
        parts = (self.coordinate_bytes, self.mask_bytes, self.scale_bytes, self.bias_bytes)
        return math.ceil(self.basis_bits / 8) + sum(parts)

    @property
    def float_bytes(self) -> int:
        """The same network in float32."""
        return _FLOAT * self.weights + self.bias_bytes

    def metrics(self) -> dict[str, float]:
        """Return the figures that a run logs."""
        return {
            "quantization/alq_bits_per_weight": self.bits_per_weight,
            "quantization/alq_basis_bytes": math.ceil(self.basis_bits / 8),
            "quantization/alq_coordinate_bytes": self.coordinate_bytes,
            "quantization/alq_mask_bytes": self.mask_bytes,
            "quantization/alq_scale_bytes": self.scale_bytes,
            "quantization/alq_bias_bytes": self.bias_bytes,
            "quantization/alq_total_bytes": self.total_bytes,
            "quantization/alq_ratio": self.float_bytes / self.total_bytes,
        }


def measure(layers: Sequence[Groups], coordinates: Coordinates) -> Size:
    """Count what layers with a bias per output channel cost.

    Args:
        layers: Their codes.
        coordinates: How coordinates are stored; `int8` needs a scale per output channel.
    """
    channels = sum(layer.layout.shape[0] for layer in layers)
    mask_bits = [
        layer.layout.n_groups * math.ceil(math.log2(layer.live.shape[1] + 1)) for layer in layers
    ]
    return Size(
        weights=sum(layer.layout.n_weights for layer in layers),
        basis_bits=sum(int(layer.live.sum()) * layer.layout.group_size for layer in layers),
        coordinate_bytes=sum(int(layer.live.sum()) for layer in layers) * _BYTES[coordinates],
        mask_bytes=sum(math.ceil(bits / 8) for bits in mask_bits),
        scale_bytes=_FLOAT * channels if coordinates == "int8" else 0,
        bias_bytes=_FLOAT * channels,
    )
