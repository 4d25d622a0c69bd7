"""What a runner hands back: one record per inference, whatever ran the image."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ecgexp.deploy.runner.protocol import Answer


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """One inference.

    Attributes:
        index: Golden window.
        label: Class name that the firmware printed.
        class_index: Position of that class.
        confidence: Its softmax probability, computed by the firmware outside the measurement.
        outputs: Output tensor, raw little-endian bytes.
        ticks: Timer ticks of the port, without the overhead of an empty measurement.
        instructions: Executed instructions; None where the target cannot count them.
        cycles_est: Cycle estimate of the instruction mix; None where there is no mix.
        elapsed_us: Time on a clock; None where there is none.
        mix: Instructions by kind; empty where there is no mix.
    """

    index: int
    label: str
    class_index: int
    confidence: float
    outputs: bytes
    ticks: int
    instructions: int | None
    cycles_est: int | None
    elapsed_us: float | None
    mix: dict[str, int] = field(default_factory=dict)

    def output_array(self, dtype: str) -> np.ndarray:
        """Return the output tensor, (class,).

        Args:
            dtype: `int8` or `float32`, as the model library says.
        """
        return np.frombuffer(self.outputs, dtype=np.dtype(dtype).newbyteorder("<"))


@dataclass(frozen=True, kw_only=True, slots=True)
class FunctionCost:
    """What one function cost over all measured inferences.

    Attributes:
        function: Symbol.
        instructions: Executed instructions.
        cycles_est: Estimated cycles; None where no model describes the core.
    """

    function: str
    instructions: int
    cycles_est: int | None


@dataclass(frozen=True, kw_only=True, slots=True)
class RunLog:
    """A complete run.

    Attributes:
        records: One per golden window, in order.
        stack_bytes: High-water mark of the stack; None where it was not measured.
        raw_log: What the serial line said, as a file.
        profile: Instructions and estimated cycles per function over all inferences, most expensive
            first; empty where nothing counts them.
    """

    records: tuple[Record, ...]
    stack_bytes: int | None
    raw_log: Path
    profile: tuple[FunctionCost, ...] = ()


def make_record(
    answer: Answer,
    *,
    ticks: int,
    instructions: int | None = None,
    cycles_est: int | None = None,
    elapsed_us: float | None = None,
    mix: dict[str, int] | None = None,
) -> Record:
    """Join what the firmware printed with what its runner makes of the ticks.

    Args:
        answer: The firmware's record.
        ticks: Its ticks without the overhead.
        instructions: Executed instructions.
        cycles_est: Estimated cycles.
        elapsed_us: Time in microseconds.
        mix: Instructions by kind.
    """
    return Record(
        index=answer.index,
        label=answer.label,
        class_index=answer.class_index,
        confidence=answer.confidence,
        outputs=answer.outputs,
        ticks=ticks,
        instructions=instructions,
        cycles_est=cycles_est,
        elapsed_us=elapsed_us,
        mix=mix or {},
    )
