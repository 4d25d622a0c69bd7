"""What a search has to say while a job runs as one of its trials."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import pytorch_lightning as pl

    from ecgexp.pipeline.room import Room
    from ecgexp.tracking.run import Run


class Trial(Protocol):
    """A trial; each method may raise `StoppedEarly`."""

    @property
    def callbacks(self) -> Sequence[pl.Callback]:
        """Callbacks of the fit beside those of the configuration."""

    @property
    def stages(self) -> Collection[str]:
        """Stages after `prepare` that its objectives need: fit, prune, validate, export, ..."""

    def started(self, run: Run) -> None:
        """See the run before any data are read."""

    def prepared(self, room: Room) -> None:
        """See the data before anything is trained."""
