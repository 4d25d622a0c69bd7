"""From what the target answered to figures, verdicts and tables."""

from __future__ import annotations

import csv
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Literal

import numpy as np

from ecgexp.deploy.compiler import Compiled
from ecgexp.deploy.firmware import Firmware
from ecgexp.deploy.golden import Golden
from ecgexp.deploy.layers import Layer, by_operator, layers_of, tell
from ecgexp.deploy.runner import Record, RunLog
from ecgexp.errors import RunnerError
from ecgexp.target import Target
from ecgexp.types import DeployReport, Inference, Scheme

log = logging.getLogger(__name__)

Profile = Literal["none", "layers"]

_COUNTS = ("instructions", "cycles_est", "elapsed_us")
_LAYER_COLUMNS = (
    "layer",
    "operator",
    "macs",
    "instructions",
    "cycles_est",
    "instructions_per_mac",
    "weight_bytes",
    "output_bytes",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Evidence:
    """Everything a report is made from.

    Attributes:
        name: The network's name, for titles.
        compiled: The compiled network.
        firmware: The image.
        run_log: What the target answered; None where the image was only built.
        golden: The windows and the expected outputs.
        target: Where it ran.
    """

    name: str
    compiled: Compiled
    firmware: Firmware
    run_log: RunLog | None
    golden: Golden
    target: Target


def write_report(
    evidence: Evidence,
    scheme: Scheme,
    limits: Mapping[str, float | None],
    folder: Path,
    *,
    profile: Profile,
) -> DeployReport:
    """Compare, count, judge, and write the tables.

    Args:
        evidence: What was built and run.
        scheme: Quantization scheme of the network.
        limits: Largest value per metric, or None.
        folder: Gets `inferences.csv`, `counts.csv`, `profile.csv` and, where instructions are
            counted, the profile per layer.
        profile: Whether to write that profile.

    Raises:
        RunnerError: The target answered another number of windows than it was given.
    """
    run_log, target = evidence.run_log, evidence.target
    tables: tuple[Path, ...] = ()
    inferences: tuple[Inference, ...] = ()
    metrics = _static_metrics(evidence)
    if run_log is not None:
        inferences, n_as_written = _judge_all(run_log, evidence)
        metrics |= _run_metrics(evidence, inferences)
        if evidence.golden.y_fused is not None:
            metrics["golden_as_written"] = n_as_written / len(inferences)
        tables = (
            run_log.raw_log,
            _write_inferences(folder / "inferences.csv", inferences),
            _write_counts(folder / "counts.csv", inferences),
            _write_profile(folder / "profile.csv", evidence, run_log),
        )
        if profile == "layers" and run_log.profile:
            tables += write_layers(
                layers_of(evidence.compiled.program, run_log.profile, len(run_log.records)),
                f"{evidence.name} on {target.name} ({target.fidelity})",
                folder,
            )
    return DeployReport(
        target=target.name,
        fidelity=target.fidelity,
        scheme=scheme,
        metrics=metrics,
        inferences=inferences,
        sections=evidence.firmware.sections,
        limit_violations=violations(metrics, limits),
        artefacts=(
            evidence.compiled.library.folder,
            evidence.firmware.elf,
            evidence.firmware.map,
            *tables,
        ),
    )


def violations(metrics: Mapping[str, float], limits: Mapping[str, float | None]) -> tuple[str, ...]:
    """Return one sentence per reason why a network is not deployable.

    Args:
        metrics: Bare metric names to values.
        limits: Largest value per metric, or None.
    """
    found = [
        f"{name} {metrics[name]:.0f} exceeds deploy.limits.{name}={limit:.0f}"
        for name, limit in limits.items()
        if limit is not None and metrics.get(name, 0.0) > limit
    ]
    if "golden_equal" not in metrics:
        found.append("not run: no output was compared with ONNX Runtime")
    elif metrics["golden_equal"] < 1.0:
        found.append(
            f"golden_equal {metrics['golden_equal']:.4f}: some outputs differ from ONNX Runtime"
        )
    return tuple(found)


def _judge_all(run_log: RunLog, evidence: Evidence) -> tuple[tuple[Inference, ...], int]:
    """Return the inferences and how many gave the outputs of the graph as written."""
    records = run_log.records
    if len(records) != len(evidence.golden):
        raise RunnerError(
            f"{evidence.target.name} answered {len(records)} of {len(evidence.golden)} windows: "
            f"see {run_log.raw_log}"
        )
    inferences: list[Inference] = []
    n_as_written = 0
    for index, record in enumerate(records):
        inference, as_written = _judge(record, index, evidence)
        inferences.append(inference)
        n_as_written += as_written
    n_fused = sum(inference.equal for inference in inferences) - n_as_written
    if n_fused:
        log.info(
            "%d of %d golden outputs equal ONNX Runtime's integer kernels, not the graph as "
            "written: its scales let float32 sums round across a tie",
            n_fused,
            len(inferences),
        )
    return tuple(inferences), n_as_written


def _judge(record: Record, window: int, evidence: Evidence) -> tuple[Inference, bool]:
    library = evidence.compiled.library
    outputs = library.dequantise_outputs(record.output_array(library.output_dtype))
    is_float = library.output_dtype == "float32"
    equal, as_written = evidence.golden.judge(window, outputs, is_float=is_float)
    inference = Inference(
        index=record.index,
        label=record.label,
        confidence=record.confidence,
        instructions=record.instructions,
        cycles_est=record.cycles_est,
        elapsed_us=record.elapsed_us,
        equal=equal,
    )
    return inference, as_written


def _static_metrics(evidence: Evidence) -> dict[str, float]:
    library, firmware = evidence.compiled.library, evidence.firmware
    stack_bytes = None if evidence.run_log is None else evidence.run_log.stack_bytes
    metrics: dict[str, float] = {
        "macs": library.macs,
        "flash_bytes": firmware.flash_bytes,
        "ram_bytes": firmware.total_ram_bytes(stack_bytes),
        "arena_bytes": library.arena_bytes,
        "weight_bytes": library.weight_bytes,
        "float_ops": len(evidence.compiled.program.float_ops),
    }
    if stack_bytes is not None:
        metrics["stack_bytes"] = stack_bytes
    return metrics


def _run_metrics(evidence: Evidence, inferences: Sequence[Inference]) -> dict[str, float]:
    macs, clock_hz = evidence.compiled.library.macs, evidence.target.clock_hz
    metrics = {"golden_equal": float(np.mean([inference.equal for inference in inferences]))}
    for name in _COUNTS:
        counts = _counts(inferences, name)
        if counts:
            metrics[name] = float(median(counts))
    if "instructions" in metrics and macs:
        metrics["instructions_per_mac"] = metrics["instructions"] / macs
    if "cycles_est" in metrics and clock_hz:
        metrics["latency_est_ms"] = 1e3 * metrics["cycles_est"] / clock_hz
    return metrics


def _counts(inferences: Iterable[Inference], name: str) -> list[float]:
    counts = (getattr(inference, name) for inference in inferences)
    return [float(count) for count in counts if count is not None]


def _write_inferences(path: Path, inferences: Sequence[Inference]) -> Path:
    header = ("index", "label", "confidence", *_COUNTS, "equal")
    return _write_table(
        path, header, ([getattr(inference, key) for key in header] for inference in inferences)
    )


def _write_counts(path: Path, inferences: Sequence[Inference]) -> Path:
    rows = []
    for name in _COUNTS:
        counts = _counts(inferences, name)
        if counts:
            rows.append((name, min(counts), median(counts), max(counts)))
    return _write_table(path, ("per_inference", "min", "median", "max"), rows)


def _write_profile(path: Path, evidence: Evidence, run_log: RunLog) -> Path:
    """Write what each function cost per inference, with the operators it stands for."""
    steps = evidence.compiled.program.steps
    n_windows = len(run_log.records)
    rows = []
    for cost in run_log.profile:
        mine = [step for step in steps if step.symbol == cost.function]
        rows.append(
            (
                cost.function,
                len(mine),
                sum(step.kernel.macs for step in mine),
                round(cost.instructions / n_windows),
                None if cost.cycles_est is None else round(cost.cycles_est / n_windows),
                "; ".join(step.origin for step in mine),
            )
        )
    header = ("function", "calls", "macs", "instructions", "cycles_est", "operators")
    return _write_table(path, header, rows)


def write_layers(layers: Sequence[Layer], title: str, folder: Path) -> tuple[Path, ...]:
    """Write `layers.csv`, its sums per operator as `operators.csv`, and the picture `layers.png`.

    Args:
        layers: The rows, in the order of the network.
        title: What ran where.
        folder: Where to write.
    """
    # matplotlib takes a second to import: only a profile pays for it.
    from ecgexp.report.layers import layer_costs

    tell(layers)
    tables = []
    for name, rows in (("layers.csv", layers), ("operators.csv", by_operator(layers))):
        cells = ([_shown(getattr(row, column)) for column in _LAYER_COLUMNS] for row in rows)
        tables.append(_write_table(folder / name, _LAYER_COLUMNS, cells))
    picture = layer_costs(
        [layer.layer for layer in layers],
        [layer.instructions for layer in layers],
        [layer.floor for layer in layers],
        title,
        folder / "layers.png",
    )
    return (*tables, picture)


def _shown(value: object) -> object:
    return f"{value:.10g}" if isinstance(value, float) else value


def _write_table(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(header)
        writer.writerows(rows)
    return path
