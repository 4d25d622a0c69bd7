"""Frozen dataclasses that every layer shares; no heavy import."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

Scheme = Literal["none", "ptq_int8", "qat_int8", "mixed", "alq"]


@dataclass(frozen=True, kw_only=True, slots=True)
class SignalSpec:
    """What a network is fed and what it answers.

    Attributes:
        fs_hz: Sampling rate of a window after preprocessing, in Hz.
        leads: Lead names in channel order.
        n_samples: Samples per lead and window; the columns of an image.
        labels: Class names in the order of the network's outputs.
        n_rows: Rows of the image that a window is, such as the scales of a scalogram; None for a
            plain signal.
        features: Names of values that are no signal: they stand one per sample at the beginning
            of the last lead.
        several: Whether a window can be of several classes at once, or of none: each output is
            then a question of its own, its sigmoid the answer; otherwise the largest one is.
    """

    fs_hz: float
    leads: tuple[str, ...]
    n_samples: int
    labels: tuple[str, ...]
    n_rows: int | None = None
    features: tuple[str, ...] = ()
    several: bool = False

    @property
    def n_leads(self) -> int:
        """Number of leads."""
        return len(self.leads)

    @property
    def n_classes(self) -> int:
        """Number of classes."""
        return len(self.labels)

    @property
    def window_shape(self) -> tuple[int, ...]:
        """Shape of one window: (lead, sample), or (lead, row, column) of an image."""
        rows = () if self.n_rows is None else (self.n_rows,)
        return (self.n_leads, *rows, self.n_samples)

    def to_dict(self) -> dict[str, Any]:
        """Return plain containers, for JSON and checkpoints."""
        lists = {"leads": self.leads, "labels": self.labels, "features": self.features}
        return {**asdict(self), **{name: list(words) for name, words in lists.items()}}

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> SignalSpec:
        """Rebuild a spec written by `to_dict`."""
        return cls(
            fs_hz=float(fields["fs_hz"]),
            leads=tuple(fields["leads"]),
            n_samples=int(fields["n_samples"]),
            labels=tuple(fields["labels"]),
            n_rows=None if fields.get("n_rows") is None else int(fields["n_rows"]),
            features=tuple(fields.get("features", ())),
            several=bool(fields.get("several", False)),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Bundle:
    """Everything the deploy stage may know about a network: one folder on disk.

    Attributes:
        folder: Where the files lie.
        name: A short identifier, for messages and firmware banners.
        spec: Input and output of the network.
        scheme: How the network was quantized.
        onnx: The network to deploy: input (1, *window_shape) float32, output (1, class) float32.
        golden: `.npz` with `x` (window, *window_shape) float32 and `y` (window, class) float32, the
            outputs of ONNX Runtime with graph optimisations disabled on `onnx`.
        versions: Library versions that made the files.
    """

    folder: Path
    name: str
    spec: SignalSpec
    scheme: Scheme
    onnx: Path
    golden: Path
    versions: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Inference:
    """What the device did for one golden window.

    Attributes:
        index: Position of the window in the golden file.
        label: The class the firmware printed.
        confidence: Softmax probability of that class as the firmware computed it.
        instructions: Executed instructions, exact; None where the target cannot count them.
        cycles_est: Estimated cycles from the instruction mix; None where there is no mix.
        elapsed_us: Wall time on a target that has a clock, else None.
        equal: Whether the outputs agree with ONNX Runtime.
    """

    index: int
    label: str
    confidence: float
    instructions: int | None
    cycles_est: int | None
    elapsed_us: float | None
    equal: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class DeployReport:
    """What one network did on one target; counts are medians per inference.

    Attributes:
        target: Name of the target.
        fidelity: How far the counts can be trusted, for example `emulated-instructions`.
        scheme: Quantization scheme of the network that ran.
        metrics: Bare metric names (`instructions`, `flash_bytes`, ...) to values.
        inferences: One entry per golden window.
        sections: Bytes per linked section.
        limit_violations: One sentence per exceeded limit; empty means deployable.
        artefacts: Files worth keeping: ELF, map, model library, log.
    """

    target: str
    fidelity: str
    scheme: Scheme
    metrics: dict[str, float]
    inferences: tuple[Inference, ...]
    sections: dict[str, int]
    limit_violations: tuple[str, ...]
    artefacts: tuple[Path, ...]

    @property
    def deployable(self) -> bool:
        """Whether every limit holds and every golden output agrees."""
        return not self.limit_violations


@dataclass(frozen=True, kw_only=True, slots=True)
class Interval:
    """A figure and its 95 % interval.

    Attributes:
        value: The figure.
        low: Lower end.
        high: Upper end.
    """

    value: float
    low: float
    high: float
