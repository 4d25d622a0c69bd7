"""Cut the beats of records with their context, and make simulated records of training ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ecgexp.dataset.context import BeatContext
from ecgexp.dataset.simulated_beats import TAIL_S, Rhythm, Simulation, generator
from ecgexp.dataset.windows import SIMULATED, Plan, cut


@dataclass(frozen=True, kw_only=True)
class Beats:
    """All beats of one record, of whatever class.

    Attributes:
        start: First samples of their windows (beat,).
        label: Names of their classes (beat,).
    """

    start: NDArray[np.int64]
    label: NDArray[np.str_]


@dataclass(frozen=True, kw_only=True)
class ContextCutter:
    """Cut the beats of records with their context.

    Attributes:
        context: What to tell.
        simulations: Name to what is made out of training records.
        before_s: Seconds from a window's start to the beat.
        window_s: Length of a window in seconds.
        fs_hz: Sampling rate of the records.
        beats: Record to its beats.
    """

    context: BeatContext
    simulations: Mapping[str, Simulation]
    before_s: float
    window_s: float
    fs_hz: float
    beats: Mapping[str, Beats]

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the values at the beginning of the last lead."""
        return tuple(self.context.features)

    def leads(self, lead: str) -> tuple[str, ...]:
        """Return the names of a window's leads."""
        return self.context.leads(lead)

    def extend(self, plan: Plan) -> Plan:
        """Add the simulated records of those that train; nothing to a split that leaks."""
        if plan.leaks:
            return plan
        for position, (record, split) in enumerate(zip(plan.records, plan.splits, strict=True)):
            for name, simulation in self.simulations.items():
                origins = {str(origin) for origin in simulation.records}
                if split == "train" and record in origins:
                    plan = self._add(plan, position, name, simulation)
        return plan

    def cut(
        self, record: str, x: NDArray[np.floating], fs_hz: float, starts: NDArray[np.int64]
    ) -> NDArray[np.floating]:
        """Return the windows (window, 2, sample) that begin at some of the record's beats.

        Args:
            record: Name of the record, simulated or not.
            x: The preprocessed signal (1, sample) of the record or its origin.
            fs_hz: Sampling rate of `x`.
            starts: First samples at the record's own rate.
        """
        origin, _, name = record.partition(SIMULATED)
        every = self.beats[origin].start
        first = np.round(every * (fs_hz / self.fs_hz)).astype(np.int64)
        n_samples = round(self.window_s * fs_hz)
        seen = max(n_samples, round((self.before_s + TAIL_S) * fs_hz))
        beats, at_s = cut(x, first, seen, "edge")[:, 0].astype(np.float64), every / self.fs_hz
        if name:
            rhythm = self._rhythm(origin, self.simulations[name])
            beats = self.simulations[name].shapes(beats, rhythm, origin, fs_hz, self.before_s)
            at_s = at_s[0] + np.cumsum(rhythm.rr_s) - rhythm.rr_s[0]
        made = self.context.windows(beats[:, :n_samples], at_s, fs_hz=fs_hz, before_s=self.before_s)
        return made[np.searchsorted(every, starts)]

    def _rhythm(self, record: str, simulation: Simulation) -> Rhythm:
        start, label = self.beats[record].start, self.beats[record].label
        rr_s = np.diff(start / self.fs_hz, prepend=(2 * start[0] - start[1]) / self.fs_hz)
        return simulation.rhythm(rr_s.clip(0.2, 5.0), label == simulation.of, record)

    def _add(self, plan: Plan, position: int, name: str, simulation: Simulation) -> Plan:
        record = plan.records[position]
        rhythm, beats = self._rhythm(record, simulation), self.beats[record]
        label = np.where(rhythm.early, simulation.becomes, beats.label)
        rng = generator(record, simulation.seed, 2)
        starts, classes = [], []
        for number, wanted in enumerate(plan.labels):
            there = np.flatnonzero(label == wanted)
            drawn = rng.permutation(there)[: simulation.windows_per_record.get(wanted, 0)]
            starts.append(beats.start[np.sort(drawn)])
            classes.append(np.full(len(drawn), number))
        n_windows = sum(map(len, starts))
        return replace(
            plan,
            records=(*plan.records, f"{record}{SIMULATED}{name}"),
            patients=(*plan.patients, plan.patients[position]),
            splits=(*plan.splits, "train"),
            record=np.concatenate([plan.record, np.full(n_windows, len(plan.records))]),
            start=np.concatenate([plan.start, *starts]),
            y=np.concatenate([plan.y, *classes]),
        )
