"""Beats together with what came before them: windows of the beat and of features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ecgexp.dataset.rhythm_features import rhythm_features
from ecgexp.dataset.shape_features import BEAT_S, median_beats, shape_features
from ecgexp.errors import ConfigError

CONTEXT = "context"
_SETTLED_BEATS = 40
_USUAL_SIZE_MV = 0.1


@dataclass(frozen=True, kw_only=True)
class BeatContext:
    """What a window tells of the beats before it. Nothing is learnt: constants are given.

    Lead 0 is the beat over the size of the patient's median beat; lead 1 holds one feature per
    sample, then zeros. All values have about one scale and lie within `limit`, so that one int8
    input quantisation serves them.

    Attributes:
        near_beats: Shortest look back, in beats.
        recent_beats: Middle look back.
        long_beats: Longest look back.
        median_beats: Beats that the median beat is over.
        refresh_beats: Beats from one median beat to the next.
        wave_gain: Factor of lead 0.
        limit: All values are cut to plus and minus this.
        features: Name of a feature to its centre and spread; (value - centre) / spread is fed.
    """

    near_beats: int
    recent_beats: int
    long_beats: int
    median_beats: int
    refresh_beats: int
    wave_gain: float
    limit: float
    features: Mapping[str, Sequence[float]]

    def __post_init__(self) -> None:
        """Refuse unknown features and sizes that are not positive.

        Raises:
            ConfigError: Names the key and the value.
        """
        counts = (self.near_beats, self.recent_beats, self.long_beats)
        if min(*counts, self.median_beats, self.refresh_beats) < 1:
            raise ConfigError(
                "dataset.tasks: near_beats, recent_beats, long_beats, median_beats and "
                "refresh_beats must be at least 1"
            )
        if min(self.wave_gain, self.limit) <= 0:
            raise ConfigError(
                f"dataset.tasks: wave_gain={self.wave_gain:g} and limit={self.limit:g} must be "
                "positive"
            )
        known = self.measure(np.zeros((2, 60)), np.arange(2.0), fs_hz=60.0, before_s=0.5)
        for name, constants in self.features.items():
            if name not in known:
                raise ConfigError(
                    f"dataset.tasks: unknown feature {name!r}; there are {', '.join(known)}"
                )
            if len(constants) != 2 or constants[1] <= 0:
                raise ConfigError(
                    f"dataset.tasks: feature {name}: {list(constants)} is not [centre, spread] "
                    "with a positive spread"
                )

    def leads(self, lead: str) -> tuple[str, ...]:
        """Return the names of the leads of a window."""
        return (lead, CONTEXT)

    def measure(
        self,
        beats: NDArray[np.floating],
        at_s: NDArray[np.floating],
        *,
        fs_hz: float,
        before_s: float,
    ) -> dict[str, NDArray[np.float64]]:
        """Return every feature of all beats of a record, before centre and spread.

        Args:
            beats: Windows without baseline in mV, in order (beat, sample).
            at_s: Time of each beat in seconds (beat,).
            fs_hz: Sampling rate.
            before_s: Seconds from a window's start to the beat.

        Returns:
            Name to values (beat,).
        """
        template = self._template(beats)
        return self._measure(beats, template, at_s, fs_hz, before_s)

    def windows(
        self,
        beats: NDArray[np.floating],
        at_s: NDArray[np.floating],
        *,
        fs_hz: float,
        before_s: float,
    ) -> NDArray[np.float32]:
        """Return what a network is fed, (beat, 2, sample); arguments as for `measure`.

        Raises:
            ConfigError: There are more features than samples.
        """
        n_samples = beats.shape[1]
        if len(self.features) > n_samples:
            raise ConfigError(
                f"dataset.tasks: {len(self.features)} features do not fit into windows of "
                f"{n_samples} samples; use fewer, longer windows or a higher rate"
            )
        template = self._template(beats)
        measured = self._measure(beats, template, at_s, fs_hz, before_s)
        size = np.ptp(np.quantile(template, (0.02, 0.98), axis=1), axis=0)
        scale = self.wave_gain / (size + _USUAL_SIZE_MV)
        made = np.zeros((len(beats), 2, n_samples))
        made[:, 0] = beats * scale[:, None]
        for place, (name, (centre, spread)) in enumerate(self.features.items()):
            made[:, 1, place] = (measured[name] - centre) / spread
        return made.clip(-self.limit, self.limit).astype(np.float32)

    def _template(self, beats: NDArray[np.floating]) -> NDArray[np.float64]:
        return median_beats(
            np.asarray(beats, dtype=np.float64),
            self.median_beats,
            _SETTLED_BEATS,
            self.refresh_beats,
        )

    def _measure(
        self,
        beats: NDArray[np.floating],
        template: NDArray[np.float64],
        at_s: NDArray[np.floating],
        fs_hz: float,
        before_s: float,
    ) -> dict[str, NDArray[np.float64]]:
        shape = shape_features(
            np.asarray(beats, dtype=np.float64), template, fs_hz, before_s, self.recent_beats
        )
        return {**rhythm_features(at_s, self.near_beats, self.long_beats), **shape}


def check_window(before_s: float, after_s: float) -> None:
    """Refuse windows that do not hold the parts of a beat that are compared.

    Raises:
        ConfigError: Names the keys.
    """
    first, last = BEAT_S
    if before_s < -first or after_s < last:
        raise ConfigError(
            f"dataset.tasks: beats in context need before_s of at least {-first:g} and after_s of "
            f"at least {last:g}, got {before_s:g} and {after_s:g}"
        )
