"""Memory regions of a target and what is placed in which of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import pairwise

from ecgexp.errors import ConfigError

_ADDRESS_SPACE_BYTES = 1 << 32
_MOST_USED_FIRST = ("data", "arena", "code", "weights")
# The firmware around the network: its code with the C library's expf, its variables, alignment.
_MARGIN_BYTES = 16384


@dataclass(frozen=True, kw_only=True, slots=True)
class MemoryRegion:
    """A contiguous range of addresses.

    Attributes:
        name: Lower-case identifier, as the placement spells it.
        origin: First address.
        size_bytes: Length in bytes.
    """

    name: str
    origin: int
    size_bytes: int

    def __post_init__(self) -> None:
        if not self.name.isidentifier() or self.name != self.name.lower():
            raise ConfigError(f"target.memory.{self.name}: use a lower-case identifier as name")
        for key in ("origin", "size_bytes"):
            value = getattr(self, key)
            if isinstance(value, bool) or not isinstance(value, int):
                raise ConfigError(
                    f"target.memory.{self.name}.{key} = {value!r} must be a whole number of bytes"
                )
        if self.origin < 0 or self.size_bytes <= 0 or self.end > _ADDRESS_SPACE_BYTES:
            raise ConfigError(
                f"target.memory.{self.name}: origin {self.origin:#x} and size_bytes "
                f"{self.size_bytes} must describe a non-empty range below 4 GiB"
            )

    @property
    def end(self) -> int:
        """First address behind the region."""
        return self.origin + self.size_bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class Placement:
    """Which region holds what; the values are names of regions.

    Attributes:
        code: Instructions, constants of the firmware, start values of variables.
        weights: Parameters of the network.
        data: Variables and the stack.
        arena: Activations of the network, with its input and output.
        golden: Golden inputs; never counted as flash or RAM of the network.
    """

    code: str
    weights: str
    data: str
    arena: str
    golden: str


def parse_regions(memory: Mapping[str, Mapping[str, int]]) -> tuple[MemoryRegion, ...]:
    """Turn the `memory` mapping of a target's YAML into regions that do not overlap.

    Args:
        memory: Region name to `{origin, size_bytes}`.

    Raises:
        ConfigError: A key is missing or unknown, or two regions overlap.
    """
    regions = []
    for name, entry in memory.items():
        if not isinstance(entry, Mapping) or set(entry) != {"origin", "size_bytes"}:
            raise ConfigError(
                f"target.memory.{name} = {entry!r} must have exactly the keys origin, size_bytes"
            )
        regions.append(
            MemoryRegion(name=name, origin=entry["origin"], size_bytes=entry["size_bytes"])
        )
    ordered = sorted(regions, key=lambda region: region.origin)
    for before, after in pairwise(ordered):
        if before.end > after.origin:
            raise ConfigError(
                f"target.memory: {before.name} (to {before.end:#x}) overlaps "
                f"{after.name} (from {after.origin:#x}): shrink or move one of them"
            )
    return tuple(regions)


def parse_placement(
    placement: Mapping[str, str | Sequence[str]], regions: tuple[MemoryRegion, ...]
) -> dict[str, tuple[str, ...]]:
    """Check that every kind of content has regions that exist.

    Args:
        placement: Kind of content to a region name, or to several names, the preferred one first.
        regions: The regions there are.

    Returns:
        Kind of content to region names, the preferred one first.

    Raises:
        ConfigError: A kind is missing or unknown, or a region does not exist.
    """
    kinds = tuple(field.name for field in fields(Placement))
    if set(placement) != set(kinds):
        raise ConfigError(
            f"target.placement has the keys {sorted(placement)}, but must have exactly "
            f"{', '.join(kinds)}"
        )
    known = [region.name for region in regions]
    choices = {}
    for kind, wanted in placement.items():
        names = (wanted,) if isinstance(wanted, str) else tuple(wanted)
        for name in names or ("",):
            if name not in known:
                raise ConfigError(
                    f"target.placement.{kind} = {name!r} names no region of target.memory: "
                    f"use one of {', '.join(known) or '(there are none)'}"
                )
        choices[kind] = names
    return choices


def choose_regions(
    choices: Mapping[str, tuple[str, ...]],
    regions: tuple[MemoryRegion, ...],
    wanted: Mapping[str, int],
) -> dict[str, str]:
    """Give each kind of content the first of its regions that still has room.

    What is used most goes first: stack and variables, then the activations, which every layer
    reads and writes, then the code, then the weights, each of which an inference reads about once.

    Args:
        choices: Kind of content to region names, the preferred one first.
        regions: The regions there are.
        wanted: Kind of content to bytes, without the golden inputs.

    Returns:
        Kind of content to region name; the last choice where none has room.
    """
    free = {region.name: region.size_bytes for region in regions}
    chosen = {"golden": choices["golden"][0]}
    for kind in _MOST_USED_FIRST:
        names = choices[kind]
        roomy = (name for name in names if wanted[kind] + _MARGIN_BYTES <= free[name])
        chosen[kind] = next(roomy, names[-1])
        free[chosen[kind]] -= wanted[kind] + _MARGIN_BYTES
    return chosen
