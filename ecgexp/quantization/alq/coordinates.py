"""Round coordinates to the numbers that are stored."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ecgexp.quantization.alq.groups import Groups
from ecgexp.quantization.alq.size import Coordinates
from ecgexp.quantization.alq.sketch import Code, tidy

LARGEST = 127


@dataclass(frozen=True, slots=True)
class Integers:
    """A layer whose weights are whole numbers times one unit per output channel.

    Attributes:
        weight: int8 of the layer's shape: sums of +- coordinates.
        unit: Positive (c_out,).
    """

    weight: Tensor
    unit: Tensor


def round_coordinates(groups: Groups, stored: Coordinates) -> None:
    """Round the coordinates of a layer in place; those that become zero lose their basis.

    With `int8` the coordinates of an output channel are whole multiples of one unit, chosen so
    that no sum of a group's coordinates leaves int8: then the weights themselves are int8 codes.
    """
    code = groups.code
    if stored == "int8":
        groups.unit.copy_(_units(groups))
        unit = groups.unit.repeat_interleave(groups.layout.per_channel)[:, None]
        rounded = (code.coordinates / unit).round() * unit
    else:
        kind = torch.float16 if stored == "float16" else torch.float32
        rounded = code.coordinates.to(kind).to(code.coordinates.dtype)
    groups.keep(tidy(Code(code.bases, rounded, code.live)))


def integers(groups: Groups) -> Integers:
    """Return the whole numbers of a layer that was rounded to `int8`."""
    code = groups.code
    per_channel = groups.layout.per_channel
    whole = (code.coordinates / groups.unit.repeat_interleave(per_channel)[:, None]).round()
    summed = torch.einsum("gi,gin->gn", whole, code.bases)
    return Integers(groups.layout.join(summed).to(torch.int8), groups.unit)


def _units(groups: Groups) -> Tensor:
    """Return the unit of each output channel (c_out,)."""
    sums = groups.coordinates.sum(1).view(-1, groups.layout.per_channel)
    # Each rounding adds half a unit at most.
    room = LARGEST - groups.coordinates.shape[1] // 2
    unit = sums.amax(1) / room
    return torch.where(unit > 0, unit, torch.ones_like(unit))
