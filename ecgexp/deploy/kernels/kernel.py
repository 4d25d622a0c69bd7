"""What every kernel builder takes and returns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ecgexp.errors import BuildError

if TYPE_CHECKING:
    from ecgexp.deploy.kernels.window import Window

Isa = Literal["mve", "dsp", "generic"]
Clamp = tuple[float, float]


@dataclass(frozen=True)
class QParams:
    """How an int8 tensor maps to real numbers: real = scale * (value - zero_point).

    Attributes:
        scale: Step between neighbouring values; a float32 number, greater than zero.
        zero_point: The int8 value that stands for 0.0.
    """

    scale: float
    zero_point: int

    def __post_init__(self) -> None:
        if not -128 <= self.zero_point <= 127:
            raise BuildError(f"zero point {self.zero_point} is not an int8 value")
        if not (np.isfinite(self.scale) and self.scale > 0):
            raise BuildError(f"quantization scale {self.scale} is not a positive number")
        object.__setattr__(self, "scale", float(np.float32(self.scale)))


@dataclass(frozen=True)
class Variants:
    """The schedules that compute one operator; all give the same bytes.

    Attributes:
        layer: Operator and shape, which decide what a schedule costs.
        chosen: The schedule that the cost rule has chosen.
        build: Schedule to a function that builds it.
    """

    layer: str
    chosen: str
    build: Mapping[str, Callable[[], Kernel]]


@dataclass(frozen=True)
class Kernel:
    """One operator of one shape, ready to be compiled.

    Attributes:
        name: Describes operator and shape; a C identifier, not unique by itself.
        func: A TIR PrimFunc over flat buffers: data inputs, constants, output.
        constants: Arrays to pass after the data inputs, in order.
        macs: Multiply-accumulates of one call.
        in_place: Whether the output may lie where the first input lies.
        maximum: The windows of an int8 max pooling; None for every other operator.
        pooled: Builds the operator together with a max pooling of its output; returns None where
            the two are better left apart, and is None where they cannot be one.
        variants: Other schedules of the operator; None where there is but one.
    """

    name: str
    func: Any
    constants: tuple[np.ndarray[Any, Any], ...]
    macs: int
    in_place: bool = False
    maximum: Window | None = None
    pooled: Callable[[Window], Kernel | None] | None = None
    variants: Variants | None = None


def with_variants(layer: str, chosen: str, builds: Mapping[str, Callable[[], Kernel]]) -> Kernel:
    """Build one of several schedules; the kernel knows the others.

    Args:
        layer: Operator and shape.
        chosen: The schedule to build.
        builds: Schedule to a function that builds it.
    """
    again = {name: partial(with_variants, layer, name, builds) for name in builds}
    return replace(builds[chosen](), variants=Variants(layer, chosen, again))


def check_isa(isa: str) -> None:
    """Refuse an instruction set that no kernel is written for.

    Raises:
        BuildError: `isa` is not supported.
    """
    if isa not in ("mve", "dsp", "generic"):
        raise BuildError(f"isa {isa!r} is not supported; kernels exist for: generic, dsp, mve")
