"""How the weights of a layer are cut into groups that share coordinates."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Literal, get_args

from torch import Tensor

from ecgexp.errors import ConfigError

Structure = Literal["kernelwise", "channelwise", "pixelwise", "subchannelwise"]
STRUCTURES: tuple[Structure, ...] = get_args(Structure)


@dataclass(frozen=True, slots=True)
class Layout:
    """Groups of one layer's weights.

    Attributes:
        shape: Shape of the weights: (c_out, c_in, ...taps) of a convolution, (c_out, c_in) of a
            dense layer.
        structure: `kernelwise`: one group per output and input channel; `channelwise`: one per
            output channel; `pixelwise`: one per output channel and tap; `subchannelwise`: the
            weights of an output channel, tap by tap, cut into `parts` equal groups.
        parts: Groups per output channel; read by `subchannelwise` only.

    Raises:
        ConfigError: The structure is unknown, or the weights cannot be cut into that many parts.
    """

    shape: tuple[int, ...]
    structure: Structure
    parts: int = 1

    def __post_init__(self) -> None:
        if self.structure not in STRUCTURES:
            raise ConfigError(
                f"quantization.layers: structure={self.structure!r}, choose one of "
                f"{', '.join(STRUCTURES)}"
            )
        if self.structure == "subchannelwise" and (self.parts < 1 or self._row % self.parts):
            raise ConfigError(
                f"quantization.layers: parts={self.parts} does not divide the {self._row} weights "
                f"of an output channel of shape {self.shape}"
            )

    @property
    def _taps(self) -> int:
        return prod(self.shape[2:])

    @property
    def _row(self) -> int:
        return self.shape[1] * self._taps

    @property
    def per_channel(self) -> int:
        """Groups per output channel."""
        of = {
            "kernelwise": self.shape[1],
            "channelwise": 1,
            "pixelwise": self._taps,
            "subchannelwise": self.parts,
        }
        return of[self.structure]

    @property
    def n_groups(self) -> int:
        """Groups of the layer; those of an output channel lie side by side."""
        return self.shape[0] * self.per_channel

    @property
    def group_size(self) -> int:
        """Weights of a group."""
        return self._row // self.per_channel

    @property
    def n_weights(self) -> int:
        """Weights of the layer."""
        return self.shape[0] * self._row

    def split(self, weight: Tensor) -> Tensor:
        """Return weights of `shape` as a copy (group, weight)."""
        rows = weight.reshape(self.shape[0], self.shape[1], self._taps)
        if self.structure != "kernelwise":
            rows = rows.transpose(1, 2)
        return rows.reshape(self.n_groups, self.group_size).clone()

    def join(self, groups: Tensor) -> Tensor:
        """Return groups (group, weight) as weights of `shape`."""
        if self.structure == "kernelwise":
            return groups.reshape(self.shape)
        rows = groups.reshape(self.shape[0], self._taps, self.shape[1])
        return rows.transpose(1, 2).reshape(self.shape)
