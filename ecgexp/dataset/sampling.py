"""Which training windows make an epoch, in which order, and which part of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ecgexp.dataset.windows import WindowSet
from ecgexp.errors import ConfigError
from ecgexp.types import SignalSpec

Kind = Literal["every", "patient", "class"]
_KINDS = ("every", "patient", "class")


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How an epoch draws training windows; validation and test always see every window once.

    Attributes:
        kind: `every` window once; `patient`, so that one with many windows counts no more than
            one with few; or `class`, so that rare classes are seen as often as common ones.
        draws: Windows of each patient or class in an epoch, a group that has fewer giving some
            twice; None for as many in all as there are windows.
        crop_s: Length of the excerpt that training sees of each window, at a random place, in
            seconds; None for the whole window. Only networks that take any length can do with it.
    """

    kind: Kind
    draws: int | None
    crop_s: float | None

    def __post_init__(self) -> None:
        """Refuse an unknown kind, and draws that mean nothing.

        Raises:
            ConfigError: Names the key and the value.
        """
        if self.kind not in _KINDS:
            raise ConfigError(
                f"dataset.sampling.kind={self.kind!r}: choose one of {', '.join(_KINDS)}"
            )
        if self.draws is not None and (self.draws < 1 or self.kind == "every"):
            raise ConfigError(
                f"dataset.sampling.draws={self.draws!r}: use null, or at least 1 with "
                "dataset.sampling.kind=patient or class"
            )
        if self.crop_s is not None and self.crop_s <= 0:
            raise ConfigError(f"dataset.sampling.crop_s={self.crop_s:g} must be positive or null")

    def check(self, spec: SignalSpec) -> None:
        """Refuse, before anything is trained, what these windows do not allow.

        Raises:
            ConfigError: Excerpts are longer than a window, or windows are no plain signals, or
                have no one class to draw.
        """
        self.n_samples(spec)
        if self.crop_s is not None and (spec.n_rows is not None or spec.features):
            raise ConfigError(
                f"dataset.sampling.crop_s={self.crop_s:g}: windows are images or hold features; "
                "use null"
            )
        if self.kind == "class" and spec.several:
            raise ConfigError(
                "dataset.sampling.kind=class: a window can have several of the classes "
                f"{', '.join(spec.labels)}; use every or patient"
            )

    def n_samples(self, spec: SignalSpec) -> int:
        """Return the samples per lead of a training window.

        Raises:
            ConfigError: The excerpt is longer than a window.
        """
        if self.crop_s is None:
            return spec.n_samples
        length = round(self.crop_s * spec.fs_hz)
        if not 0 < length <= spec.n_samples:
            raise ConfigError(
                f"dataset.sampling.crop_s={self.crop_s:g}: {length} samples out of windows of "
                f"{spec.n_samples}; use null or at most {spec.n_samples / spec.fs_hz:g}"
            )
        return length

    def lead_of(self, spec: SignalSpec) -> int | None:
        """Return the lead that windows are reduced to outside of training; None keeps all."""
        return None

    def size(self, windows: WindowSet) -> int:
        """Return the number of windows in an epoch."""
        if self.kind == "every":
            return len(windows)
        n_groups = len(np.unique(self._group(windows)))
        return n_groups * self._per_group(len(windows), n_groups)

    def order(self, windows: WindowSet, rng: np.random.Generator) -> NDArray[np.int64]:
        """Draw the windows of one epoch, shuffled (draw,)."""
        shuffled = rng.permutation(len(windows))
        if self.kind == "every":
            return shuffled
        _, group, counts = np.unique(self._group(windows), return_inverse=True, return_counts=True)
        by_group = shuffled[np.argsort(group[shuffled], kind="stable")]
        begin = np.cumsum(counts) - counts
        draw = np.arange(self._per_group(len(windows), len(counts)))
        return rng.permutation(by_group[begin[:, None] + draw % counts[:, None]].ravel())

    def crop(
        self, x: NDArray[np.float32], spec: SignalSpec, rng: np.random.Generator
    ) -> NDArray[np.float32]:
        """Cut an excerpt out of each window (window, lead, sample) at a place of its own."""
        if self.crop_s is None:
            return x
        length = self.n_samples(spec)
        first = rng.integers(0, spec.n_samples - length + 1, len(x))
        index = first[:, None] + np.arange(length)
        return np.take_along_axis(x, index[:, None], axis=-1)

    def _group(self, windows: WindowSet) -> NDArray[np.str_] | NDArray[np.int64]:
        return windows.patient if self.kind == "patient" else windows.y

    def _per_group(self, n_windows: int, n_groups: int) -> int:
        return -(-n_windows // n_groups) if self.draws is None else self.draws


@dataclass(frozen=True, kw_only=True)
class LeadSampling(Sampling):
    """Sampling that may also draw one of several leads for each training window.

    Attributes:
        kind: As in `Sampling`.
        draws: As in `Sampling`.
        crop_s: As in `Sampling`.
        fixed_lead: The lead that validation, test and the device see, while training draws one of
            all for each window; None serves all leads at once everywhere.
    """

    fixed_lead: str | None

    def lead_of(self, spec: SignalSpec) -> int | None:
        """Return the position of `fixed_lead`.

        Raises:
            ConfigError: There is no such lead, or windows are no plain signals.
        """
        if self.fixed_lead is None:
            return None
        if spec.n_rows is not None or spec.features:
            raise ConfigError(
                "dataset.sampling.fixed_lead: windows are images or hold features; use null"
            )
        if self.fixed_lead not in spec.leads:
            raise ConfigError(
                f"dataset.sampling.fixed_lead={self.fixed_lead!r}: choose one of dataset.leads, "
                f"{', '.join(spec.leads)}, or null"
            )
        return spec.leads.index(self.fixed_lead)


def drawn_lead(x: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Keep one lead of each window (window, lead, sample), drawn evenly (window, 1, sample)."""
    lead = rng.integers(0, x.shape[1], len(x))
    return x[np.arange(len(x)), lead][:, None]
