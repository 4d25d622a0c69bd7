"""The ordered chain of preprocessing steps: first over whole records, then over windows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecgexp.errors import ConfigError, DataError
from ecgexp.preprocessing.pixels import as_float

Signal = NDArray[np.floating | np.uint8]
Step = Callable[[Any, float], tuple[Signal, float]]


class Chain:
    """Apply pure steps `(x, fs_hz) -> (x, fs_hz)` in order.

    No step learns anything: each window depends on its own record only, so nothing of the
    validation or test split can reach training through here.
    """

    def __init__(self, *, record: Sequence[Step], window: Sequence[Step]) -> None:
        """Keep the steps.

        Args:
            record: Steps over a whole record (lead, sample), before windows are cut.
            window: Steps over windows (window, lead, sample), after they are cut. A step may make
                images (window, lead, row, column) of them; bytes stand for 0..1.

        Raises:
            ConfigError: A step cannot be called or described.
        """
        self._record = tuple(record)
        self._window = tuple(window)
        self._description = {
            "record": [
                _describe(step, f"preprocessing.record[{i}]") for i, step in enumerate(record)
            ],
            "window": [
                _describe(step, f"preprocessing.window[{i}]") for i, step in enumerate(window)
            ],
        }

    def apply_record(
        self, x: NDArray[np.floating], fs_hz: float
    ) -> tuple[NDArray[np.floating], float]:
        """Run the record steps.

        Args:
            x: Signal (lead, sample) in mV.
            fs_hz: Its sampling rate.

        Returns:
            The signal (lead, sample) and its new rate in Hz.

        Raises:
            DataError: A step made a value that is not finite.
        """
        return _run(self._record, x, fs_hz)

    def apply_window(
        self, x: NDArray[np.floating], fs_hz: float
    ) -> tuple[NDArray[np.float32], float]:
        """Run the window steps.

        Args:
            x: Windows (window, lead, sample).
            fs_hz: Their sampling rate.

        Returns:
            The windows as float32, as a network takes them, and their rate in Hz.

        Raises:
            DataError: A step made a value that is not finite.
        """
        windows, rate_hz = self.stored_window(x, fs_hz)
        return as_float(windows), rate_hz

    def stored_window(
        self, x: NDArray[np.floating], fs_hz: float
    ) -> tuple[NDArray[np.float32 | np.uint8], float]:
        """Run the window steps, but leave images of bytes as small as they are."""
        windows, rate_hz = _run(self._window, x, fs_hz)
        if windows.dtype == np.uint8:
            return np.ascontiguousarray(windows, dtype=np.uint8), rate_hz
        return as_float(windows), rate_hz

    def describe(self) -> dict[str, list[dict[str, Any]]]:
        """Return the steps and their parameters in order, as plain containers for a fingerprint."""
        return {side: [dict(step) for step in steps] for side, steps in self._description.items()}


def _run(steps: Sequence[Step], x: Signal, fs_hz: float) -> tuple[Any, float]:
    for step in steps:
        x, fs_hz = step(x, fs_hz)
        if not np.isfinite(x).all():
            name = _describe(step, "preprocessing")["step"]
            raise DataError(f"preprocessing: {name} made values that are not finite")
    return x, fs_hz


def _describe(step: Step, path: str) -> dict[str, Any]:
    if not callable(step):
        raise ConfigError(
            f"{path}: {step!r} is not a function; give it _target_ and _partial_: true"
        )
    function = step.func if isinstance(step, partial) else step
    parameters = dict(sorted(step.keywords.items())) if isinstance(step, partial) else {}
    return {"step": f"{function.__module__}.{function.__qualname__}", **parameters}
