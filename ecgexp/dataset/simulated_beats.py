"""Rhythms that few training patients have, made from the beats of those who have them not.

Each simulation changes when the usual beats of a training record come, and what is seen where
their P waves were. Ectopic beats of the record stay what they are. It serves training only.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ecgexp.dataset.past import Floats

TAIL_S = 0.5
"""Seconds behind a beat that `Simulation.shapes` needs to see."""
_P_END_S = (0.1, 0.067)
_P_S = (0.25, 0.067)
_SHORTEST_S = 0.28


@dataclass(frozen=True, kw_only=True)
class Rhythm:
    """A simulated sequence of beats.

    Attributes:
        rr_s: The interval that ends with each beat, in seconds (beat,).
        early: Which beats were made early (beat,).
    """

    rr_s: Floats
    early: NDArray[np.bool_]


class Simulation(Protocol):
    """What a simulation must say and do."""

    @property
    def becomes(self) -> str:
        """The class of beats that were made early."""
        ...

    @property
    def of(self) -> str:
        """The class of usual beats."""
        ...

    @property
    def records(self) -> Sequence[str]:
        """The records to make others of, where they are trained on."""
        ...

    @property
    def seed(self) -> int:
        """Seed of what is drawn."""
        ...

    @property
    def windows_per_record(self) -> Mapping[str, int]:
        """Class to the most windows that are kept of a record."""
        ...

    def rhythm(self, rr_s: Floats, usual: NDArray[np.bool_], record: str) -> Rhythm:
        """Return the new intervals; the same for the same arguments."""
        ...

    def shapes(
        self, beats: Floats, rhythm: Rhythm, record: str, fs_hz: float, before_s: float
    ) -> Floats:
        """Return the beats (beat, sample) as that rhythm lets them look, in mV."""
        ...


def generator(record: str, seed: int, purpose: int) -> np.random.Generator:
    """Return the random numbers of one purpose and record."""
    return np.random.default_rng((seed, zlib.crc32(record.encode()), purpose))


@dataclass(frozen=True, kw_only=True)
class EarlyRuns:
    """Early atrial beats, alone and in runs that may be long, with a pause behind each run.

    An early beat lies on the end of the T wave before it; its own P wave is scaled, or upside
    down. All ranges are drawn from evenly.

    Attributes:
        of: Class of the beats to move.
        becomes: Their class then.
        records: Records to make others of.
        windows_per_record: Class to the most windows that are kept of a record.
        seed: Seed of all draws.
        gap_beats: Mean numbers of usual beats between runs; one is drawn for each gap.
        run_beats: Mean lengths of runs; one is drawn for each run.
        rr_factor: Range of an early interval over the median of the ten before the run.
        pause_factor: Range of the interval behind a run over the same median.
    """

    of: str
    becomes: str
    records: Sequence[str]
    windows_per_record: Mapping[str, int]
    seed: int
    gap_beats: Sequence[float]
    run_beats: Sequence[float]
    rr_factor: Sequence[float]
    pause_factor: Sequence[float]

    def rhythm(self, rr_s: Floats, usual: NDArray[np.bool_], record: str) -> Rhythm:
        """Return the new intervals."""
        rng = generator(record, self.seed, 0)
        made, early = rr_s.copy(), np.zeros(len(rr_s), dtype=bool)
        at = 30
        while at < len(rr_s) - 2:
            at += rng.geometric(1 / rng.choice(self.gap_beats))
            if at >= len(rr_s) - 2:
                break
            end = min(at + rng.geometric(1 / rng.choice(self.run_beats)), len(rr_s) - 2)
            factor, pause = _between(rng, self.rr_factor), _between(rng, self.pause_factor)
            base = float(np.median(rr_s[max(at - 10, 0) : at]))
            first = at
            while at < end and usual[at]:
                made[at] = max(_SHORTEST_S, base * factor * np.exp(rng.normal(0, 0.015)))
                early[at] = True
                at += 1
            if at > first:
                made[at] = max(rr_s[at], base * pause)
            at += 1
        return Rhythm(rr_s=made, early=early)

    def shapes(
        self, beats: Floats, rhythm: Rhythm, record: str, fs_hz: float, before_s: float
    ) -> Floats:
        """Return the beats with the wave before under the P waves of early ones."""
        rng = generator(record, self.seed, 1)
        made = beats.copy()
        n_samples = beats.shape[1]
        at_s = np.arange(n_samples) / fs_hz - before_s
        place = np.arange(n_samples)
        fade = _before_qrs(at_s)
        scale = 0.0
        for index in np.flatnonzero(rhythm.early):
            if not rhythm.early[index - 1]:
                scale = rng.uniform(-1, 1)
            source = place + round(rhythm.rr_s[index] * fs_hz)
            inside = source < n_samples
            tail = np.where(inside, beats[index - 1, np.minimum(source, n_samples - 1)], 0.0)
            own = tail + np.where(inside, 0.5, 1.0) * scale * beats[index]
            made[index] = fade * own + (1 - fade) * beats[index]
        return made


@dataclass(frozen=True, kw_only=True)
class Fibrillation:
    """Intervals without order and a quivering baseline instead of P waves, all usual beats.

    Attributes:
        of: Class of the beats to move; they keep it.
        becomes: Not reached: no beat is made early.
        records: Records to make others of.
        windows_per_record: Class to the most windows that are kept of a record.
        seed: Seed of all draws.
        stretch_beats: Range of the beats for which the other draws hold.
        rr_spread: Range of the standard deviation of the logarithm of an interval.
        rr_factor: Range of the median interval over the record's own.
        p_share: Range of what is left of the P wave.
    """

    of: str
    becomes: str
    records: Sequence[str]
    windows_per_record: Mapping[str, int]
    seed: int
    stretch_beats: Sequence[int]
    rr_spread: Sequence[float]
    rr_factor: Sequence[float]
    p_share: Sequence[float]

    def rhythm(self, rr_s: Floats, usual: NDArray[np.bool_], record: str) -> Rhythm:
        """Return the new intervals."""
        rng = generator(record, self.seed, 0)
        made = rr_s.copy()
        for part in _stretches(len(rr_s), self.stretch_beats, rng):
            spread, factor = _between(rng, self.rr_spread), _between(rng, self.rr_factor)
            drawn = np.exp(rng.normal(0, spread, len(rr_s[part]))) * factor
            made[part] = _paced(rr_s[part], usual[part], drawn)
        return Rhythm(rr_s=made, early=np.zeros(len(rr_s), dtype=bool))

    def shapes(
        self, beats: Floats, rhythm: Rhythm, record: str, fs_hz: float, before_s: float
    ) -> Floats:
        """Return the beats with a sine of 5 to 8 Hz where the P waves were."""
        rng = generator(record, self.seed, 1)
        made = beats.copy()
        at_s = np.arange(beats.shape[1]) / fs_hz - before_s
        fade = _before_qrs(at_s)
        p = (at_s >= -_P_S[0]) & (at_s < -_P_S[1])
        for part in _stretches(len(beats), self.stretch_beats, rng):
            size = float(beats[part][:, p].mean(axis=0).std()) + 0.02
            share, height = _between(rng, self.p_share), size * rng.uniform(0.2, 1)
            phase = rng.uniform(0, 2 * np.pi, (len(beats[part]), 1))
            wave = height * np.sin(2 * np.pi * rng.uniform(5, 8) * at_s + phase)
            made[part] = fade * (share * beats[part] + wave) + (1 - fade) * beats[part]
        return made


def _before_qrs(at_s: Floats) -> Floats:
    """Return 1 up to 0.1 s before the beat, falling to 0 at 0.067 s."""
    first, last = _P_END_S
    return ((-last - at_s) / (first - last)).clip(0, 1)


def _between(rng: np.random.Generator, limits: Sequence[float]) -> float:
    low, high = limits
    return float(rng.uniform(low, high))


def _stretches(n: int, limits: Sequence[int], rng: np.random.Generator) -> list[slice]:
    parts, begin = [], 0
    while begin < n:
        end = begin + int(rng.integers(limits[0], limits[1], endpoint=True))
        parts.append(slice(begin, min(end, n)))
        begin = end
    return parts


def _paced(rr_s: Floats, usual: NDArray[np.bool_], drawn: Floats) -> Floats:
    """Return drawn intervals of usual beats; ectopic ones come a little earlier than they did."""
    return np.where(usual, np.maximum(0.3, float(np.median(rr_s)) * drawn), 0.9 * rr_s)
