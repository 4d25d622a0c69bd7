"""What distinguishes runs: configuration, figures, layers on the device, confusion matrices."""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ecgexp.config.compose import Job
from ecgexp.config.validate import validate
from ecgexp.errors import ConfigError, TrackingError
from ecgexp.pipeline import open_store
from ecgexp.selection.figures import is_cost
from ecgexp.tracking.found import Found
from ecgexp.tracking.names import KIND_TAG
from ecgexp.tracking.run import is_run_id

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ecgexp.tracking.run import Run
    from ecgexp.tracking.store import Store

# Where a run was made says nothing about what it is.
_PLACES = ("paths.", "resume", "format", "force", "trainer.progress", "tracking.")
_PREDICTIONS = {"float": "predictions/test.npz", "int8": "predictions/test_quantized.npz"}


@dataclass(frozen=True, kw_only=True)
class Matrix:
    """How often each true class (row) was predicted as each class (column).

    Attributes:
        run: Position of the run.
        network: `float` or `int8`.
        labels: Class names.
        counts: (class, class).
    """

    run: int
    network: str
    labels: tuple[str, ...]
    counts: NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Side:
    """One line of a comparison.

    Attributes:
        name: An option, a metric or a layer.
        values: One per run; None where a run has none.
        is_cost: Whether less is better.
    """

    name: str
    values: tuple[float | str | None, ...]
    is_cost: bool = False

    def difference(self, position: int) -> float | None:
        """Return how much a run's figure is above the first one's."""
        first, value = self.values[0], self.values[position]
        if position and isinstance(first, float) and isinstance(value, float):
            return value - first
        return None

    def verdict(self, position: int) -> str:
        """Return `better`, `worse` or `same`, or nothing where that is unknown."""
        change = self.difference(position)
        if change is None or change != change:
            return ""
        if change == 0:
            return "same"
        return "better" if (change < 0) == self.is_cost else "worse"


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Runs side by side.

    Attributes:
        runs: In the order asked for; differences are to the first.
        device: Target of the device figures.
        options: Configuration values that are not the same in all runs.
        figures: Metrics of test, quantization and target.
        layers: Instructions per inference of every layer.
        matrices: Confusion matrices on the test split.
        missing: What a run lacks, and how it gets it.
    """

    runs: tuple[Found, ...]
    device: str
    options: tuple[Side, ...]
    figures: tuple[Side, ...]
    layers: tuple[Side, ...]
    matrices: tuple[Matrix, ...]
    missing: tuple[str, ...]


def compare(job: Job, run_ids: Sequence[str]) -> Comparison:
    """Gather what distinguishes runs.

    Args:
        job: Composed from `conf/compare.yaml`.
        run_ids: Two or more.

    Raises:
        ConfigError: Fewer than two, or one of them twice.
        TrackingError: There is no such run.
    """
    validate(job)
    if len(run_ids) < 2 or len(set(run_ids)) < len(run_ids):
        raise ConfigError(
            f"compare {' '.join(run_ids) or '(nothing)'}: name two or more different runs, "
            "`ecgexp compare RUN RUN`; `ecgexp select` lists them"
        )
    device = str(job.config["device"])
    store = open_store(job.config)
    runs = _find(store, run_ids)
    missing: list[str] = []
    layers: list[dict[str, float]] = []
    matrices: list[Matrix] = []
    with tempfile.TemporaryDirectory(prefix="ecgexp-compare-") as scratch:
        for position, found in enumerate(runs):
            run, folder = store.reopen(found.run_id), Path(scratch) / str(position)
            layers.append(_layers(run, device, folder, missing))
            matrices += _matrices(run, position, folder, missing)
    return Comparison(
        runs=tuple(runs),
        device=device,
        options=_options(runs),
        figures=_figures(runs, device),
        layers=_side_by_side(layers),
        matrices=tuple(matrices),
        missing=tuple(missing),
    )


def _find(store: Store, run_ids: Sequence[str]) -> list[Found]:
    known = {run.run_id: run for run in store.runs(params=None)}
    for run_id in run_ids:
        if not is_run_id(run_id):
            raise TrackingError(
                f"{run_id!r} is not a run id: 32 hexadecimal digits; see `ecgexp select`"
            )
        if run_id not in known:
            raise TrackingError(
                f"{run_id}: no such run in {store.uri}; list them with `ecgexp select`"
            )
        if KIND_TAG in known[run_id].tags:
            raise TrackingError(
                f"{run_id} holds a {known[run_id].tags[KIND_TAG]}: compare the runs in it"
            )
    return [known[run_id] for run_id in run_ids]


def _options(runs: Sequence[Found]) -> tuple[Side, ...]:
    keys = dict.fromkeys(key for run in runs for key in run.params)
    sides = [Side(name=key, values=tuple(run.params.get(key) for run in runs)) for key in keys]
    return tuple(
        side for side in sides if len(set(side.values)) > 1 and not side.name.startswith(_PLACES)
    )


def _figures(runs: Sequence[Found], device: str) -> tuple[Side, ...]:
    shown = ("test/", "quantization/", "prune/", "model/", f"deploy/{device}/")
    names = {key for run in runs for key in run.metrics}
    keys = [key for start in shown for key in sorted(names) if key.startswith(start)]
    return tuple(
        Side(name=key, values=tuple(run.metrics.get(key) for run in runs), is_cost=is_cost(key))
        for key in keys
    )


def _layers(run: Run, device: str, folder: Path, missing: list[str]) -> dict[str, float]:
    """Return instructions per layer; a second layer of the same name gets a number."""
    try:
        path = run.fetch_artefact(f"deploy/{device}/layers.csv", folder / "layers")
    except TrackingError:
        missing.append(
            f"run {run.run_id} has no layers.csv of {device}: measure it there with `ecgexp deploy "
            f"run_id={run.run_id} target={device} deploy.profile=layers`"
        )
        return {}
    costs: dict[str, float] = {}
    with path.open(encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream):
            name, number = row["layer"], 2
            while name in costs:
                name, number = f"{row['layer']} ({number})", number + 1
            costs[name] = float(row["instructions"])
    return costs


def _side_by_side(layers: Sequence[dict[str, float]]) -> tuple[Side, ...]:
    names = dict.fromkeys(name for costs in layers for name in costs)
    if not names:
        return ()
    sums = tuple(sum(costs.values()) if costs else None for costs in layers)
    sides = [(name, tuple(costs.get(name) for costs in layers)) for name in names]
    return tuple(
        Side(name=name, values=values, is_cost=True) for name, values in (*sides, ("sum", sums))
    )


def _matrices(run: Run, position: int, folder: Path, missing: list[str]) -> list[Matrix]:
    import numpy as np

    found: list[Matrix] = []
    for network, artefact in _PREDICTIONS.items():
        try:
            path = run.fetch_artefact(artefact, folder / network)
        except TrackingError:
            if network == "float":
                missing.append(
                    f"run {run.run_id} has no {artefact}: it did not reach the test stage, or was "
                    "made before runs kept their predictions; run its configuration again"
                )
            continue
        with np.load(path, allow_pickle=False) as arrays:
            if "threshold" in arrays:
                missing.append(
                    f"run {run.run_id} names several classes of a window at once: nothing is "
                    "taken for another class, there is no confusion matrix"
                )
                break
            labels = tuple(map(str, arrays["labels"]))
            y, predicted = arrays["y"], arrays["logits"].argmax(axis=1)
        n = len(labels)
        counts = np.bincount(y * n + predicted, minlength=n * n).reshape(n, n)
        found.append(Matrix(run=position, network=network, labels=labels, counts=counts))
    return found


def as_json(comparison: Comparison) -> dict[str, Any]:
    """Return plain containers."""

    def lines(sides: Sequence[Side]) -> dict[str, list[float | str | None]]:
        return {side.name: list(side.values) for side in sides}

    return {
        "runs": [{"run_id": run.run_id, "name": run.name} for run in comparison.runs],
        "device": comparison.device,
        "options": lines(comparison.options),
        "figures": lines(comparison.figures),
        "layers": lines(comparison.layers),
        "confusion": [
            {
                "run_id": comparison.runs[matrix.run].run_id,
                "network": matrix.network,
                "labels": list(matrix.labels),
                "counts": matrix.counts.tolist(),
            }
            for matrix in comparison.matrices
        ],
        "missing": list(comparison.missing),
    }
