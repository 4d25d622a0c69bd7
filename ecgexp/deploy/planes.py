"""Find out whether int8 weights are sums of few signed bit planes, and pack them so.

The weights of an output channel lie as (tap, input channel), as a window of the input does. They
are cut into segments of equal width, all of a channel or those of one tap. Where every weight of a
segment is +-a_1 +-a_2 ... with the same few whole numbers a_i > 0, the segment is stored as one bit
per weight and i, and a_i: adaptive multi-bit networks are like this, and ordinary ones are not.

The arithmetic is that of the int8 convolution, in whole numbers:

    sum_j w_j x_j = sum_i a_i (2 P_i - S),  P_i = sum of x_j where bit i of j is set,  S = sum x_j
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

WORD = 16
"""Bits of a packed word: as many as a vector of int8 has lanes."""
MOST_BITS = 4
MOST_WINDOW = 4096
"""Bytes of a window, which the kernels hold on the stack."""
_LARGEST = 127
_WORTH_IT = 0.8
"""Share of the bytes of int8 weights: sums under masks cost more instructions than products."""


@dataclass(frozen=True, slots=True)
class Planes:
    """Weights as bit planes; entries of a segment lie side by side, in the order of channels.

    Attributes:
        segments: Segments of an output channel.
        width: Weights of a segment.
        starts: First entry of each segment, and the number of all (segments + 1,).
        channel: Output channel of each entry, uint8 or int16.
        coordinate: a_i of each entry, int8.
        bits: (entry, words) int16: bit j of word k belongs to weight 16 k + j.
    """

    segments: int
    width: int
    starts: Array
    channel: Array
    coordinate: Array
    bits: Array

    @property
    def words(self) -> int:
        """Packed words of an entry."""
        return -(-self.width // WORD)

    @property
    def window_bytes(self) -> int:
        """Bytes of a window whose segments begin at whole words."""
        return self.segments * self.words * WORD

    @property
    def n_bytes(self) -> int:
        """Bytes in flash."""
        return sum(a.nbytes for a in (self.starts, self.channel, self.coordinate, self.bits))


def find_planes(weight: Array) -> Planes | None:
    """Return the smallest form of weights in planes, or None where it saves too little.

    Args:
        weight: (c_out, c_in, tap) int8.
    """
    c_out, _, taps = weight.shape
    rows = np.ascontiguousarray(weight.transpose(0, 2, 1)).reshape(c_out, -1)
    found = [_pack(rows.reshape(c_out, segments, -1)) for segments in {1, taps}]
    fitting = [p for p in found if p is not None and p.window_bytes <= MOST_WINDOW]
    best = min(fitting, key=lambda p: p.n_bytes, default=None)
    return best if best is not None and best.n_bytes <= _WORTH_IT * weight.size else None


def _pack(weight: Array) -> Planes | None:
    """Pack (c_out, segment, width); None where a segment has too many magnitudes."""
    c_out, segments, width = weight.shape
    words = -(-width // WORD)
    entries: list[tuple[int, int, Array]] = []
    starts = [0]
    for s in range(segments):
        for c in range(c_out):
            values = weight[c, s].astype(np.int64)
            coordinates = find_coordinates(values)
            if coordinates is None:
                return None
            signs = _signs(values, coordinates)
            entries += [(c, a, sign) for a, sign in zip(coordinates, signs, strict=True)]
        starts.append(len(entries))
    bits = np.zeros((len(entries), words * WORD), np.uint8)
    for row, (_, _, sign) in zip(bits, entries, strict=True):
        row[:width] = sign > 0
    return Planes(
        segments=segments,
        width=width,
        starts=np.array(starts, np.int32),
        channel=np.array([c for c, _, _ in entries], np.uint8 if c_out <= 256 else np.int16),
        coordinate=np.array([a for _, a, _ in entries], np.int8),
        bits=np.packbits(bits, axis=1, bitorder="little").view("<i2"),
    )


def find_coordinates(values: Array) -> tuple[int, ...] | None:
    """Return the fewest positive numbers of which every value is a signed sum.

    Args:
        values: Whole numbers (weight,).

    Returns:
        None where more than `MOST_BITS` would be needed.
    """
    magnitudes = np.unique(np.abs(values))
    if magnitudes[-1] == 0:
        return ()
    if magnitudes[-1] > _LARGEST or len(np.unique(magnitudes % 2)) > 1:
        # Turning a sign changes a sum by an even number.
        return None
    for n_bits in range(1, MOST_BITS + 1):
        if len(magnitudes) > 2 ** (n_bits - 1):
            continue
        candidates, sums = _table(n_bits)
        fits = np.ones(len(candidates), bool)
        for magnitude in magnitudes:
            fits &= (sums == magnitude).any(axis=1)
        if fits.any():
            return tuple(int(a) for a in candidates[np.argmax(fits)])
    return None


@cache
def _table(n_bits: int) -> tuple[Array, Array]:
    """Return all coordinates (row, bit) whose sum is at most 127, and their magnitudes."""
    candidates = np.array(list(_ascending(1, _LARGEST, n_bits)), np.int16)
    signs = _patterns(n_bits)[: 2 ** (n_bits - 1)]
    return candidates, np.abs(candidates @ signs.T)


def _ascending(low: int, total: int, many: int) -> Iterator[tuple[int, ...]]:
    """Yield ascending numbers from `low` on whose sum is at most `total`."""
    for first in range(low, total // many + 1):
        if many == 1:
            yield (first,)
        else:
            rest = _ascending(first, total - first, many - 1)
            yield from ((first, *others) for others in rest)


def _patterns(n_bits: int) -> Array:
    """Return every choice of signs (pattern, bit)."""
    index = np.arange(2**n_bits)[:, None] >> np.arange(n_bits)
    patterns: Array = (1 - 2 * (index & 1)).astype(np.int16)
    # The last sign is + in the first half: the second half is the first turned around.
    return patterns


def _signs(values: Array, coordinates: tuple[int, ...]) -> Array:
    """Return a sign (bit, weight) whose sums are the values."""
    patterns = _patterns(len(coordinates))
    sums = patterns @ np.array(coordinates, np.int64)
    chosen = (values[:, None] == sums).argmax(axis=1)
    signs: Array = patterns[chosen].T
    return signs
