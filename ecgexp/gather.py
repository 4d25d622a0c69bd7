"""Gather the runs of a sweep over folds or seeds into one figure with its interval."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from ecgexp.config.compose import Job
from ecgexp.errors import ConfigError
from ecgexp.pipeline import home_folder, open_store
from ecgexp.pipeline.predictions import FOLDER, Predictions, read_predictions
from ecgexp.selection.choose import select
from ecgexp.types import Interval

if TYPE_CHECKING:
    from ecgexp.tracking.found import Found

PARAMS = ("seed", "dataset.fold", "objective.f1_labels")
SHOWN = ("accuracy", "f1_macro", "f1_selected")


@dataclass(frozen=True, kw_only=True)
class Gathered:
    """Several runs as one.

    Attributes:
        how: One sentence: what was pooled and what the interval stands for.
        runs: One row per run: its name, run id and figures.
        figures: Bare metric names to values with their 95 % interval.
        n_windows: Test windows that were counted.
        n_patients: Their patients.
        folder: Where `gathered.json` lies, and the confusion matrix of windows with one class.
    """

    how: str
    runs: list[dict[str, Any]]
    figures: dict[str, Interval]
    n_windows: int
    n_patients: int
    folder: Path


def gather(job: Job, condition: str) -> Gathered:
    """Pool the test predictions of runs that are folds of each other; average over seeds.

    Args:
        job: Composed from `conf/gather.yaml`.
        condition: Which runs, as for `ecgexp select`.

    Raises:
        ConfigError: No run meets the condition, or the runs are neither folds nor seeds.
        TrackingError: A run has no predictions.
    """
    from ecgexp.report import pictures

    config = job.config
    chosen = {row.run.run_id for row in select(job, condition)}
    found = [run for run in open_store(config).runs(params=PARAMS) if run.run_id in chosen]
    if not found:
        raise ConfigError(f"no FINISHED run meets {condition!r}; see `ecgexp select`")
    folder = _folder(config, found)
    parts = {run.run_id: _predictions(config, run, folder) for run in found}
    labels = _same_labels(found, parts)
    f1_labels = _f1_labels(config, found[0])
    sets = _complete_sets(found, parts)
    rows = [
        {
            "run_id": run.run_id,
            "name": run.name,
            "seed": run.params.get("seed"),
            "fold": run.params.get("dataset.fold"),
            "n_windows": len(parts[run.run_id].y),
            **_shown(_measured(labels, parts[run.run_id], f1_labels)),
        }
        for run in found
    ]
    pools = [Predictions.joined([parts[run.run_id] for run in runs]) for runs in sets]
    figures, how = _figures(labels, pools, f1_labels, config)
    everything = Predictions.joined(pools)
    gathered = Gathered(
        how=f"{len(found)} runs, {_what(sets)}; {how}",
        runs=rows,
        figures=figures,
        n_windows=len(pools[0].y),
        n_patients=len(set(pools[0].patient.tolist())),
        folder=folder,
    )
    plain = {**asdict(gathered), "folder": str(folder), "condition": condition}
    (folder / "gathered.json").write_text(json.dumps(plain, indent=2), "utf-8")
    if everything.threshold is None:
        said = everything.logits.argmax(1)
        pictures.confusion_matrix(labels, everything.y, said, folder / "confusion_matrix.png")
    return gathered


def _folder(config: dict[str, Any], runs: Sequence[Found]) -> Path:
    words = [config["predictions"], *config["without_records"], *sorted(run.run_id for run in runs)]
    name = hashlib.sha256(" ".join(map(str, words)).encode()).hexdigest()[:12]
    folder = home_folder(config) / "gathered" / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _predictions(config: dict[str, Any], run: Found, folder: Path) -> Predictions:
    name = f"{FOLDER}/{config['predictions']}.npz"
    path = open_store(config).reopen(run.run_id).fetch_artefact(name, folder / run.run_id)
    return read_predictions(path).without([str(name) for name in config["without_records"]])


def _same_labels(runs: Sequence[Found], parts: Mapping[str, Predictions]) -> tuple[str, ...]:
    first = parts[runs[0].run_id].labels
    for run in runs:
        if parts[run.run_id].labels != first:
            raise ConfigError(
                f"run {runs[0].run_id} tells {', '.join(first)} apart, run {run.run_id} "
                f"{', '.join(parts[run.run_id].labels)}: gather runs of one task"
            )
        if parts[run.run_id].threshold != parts[runs[0].run_id].threshold:
            raise ConfigError(
                f"runs {runs[0].run_id} and {run.run_id} name classes by different thresholds, "
                f"{parts[runs[0].run_id].threshold} and {parts[run.run_id].threshold}: gather "
                "runs of one objective.threshold"
            )
    return first


def _f1_labels(config: dict[str, Any], run: Found) -> list[str] | None:
    if config["f1_labels"] is not None:
        return [str(name) for name in config["f1_labels"]]
    logged = yaml.safe_load(run.params.get("objective.f1_labels", "null"))
    return None if logged in (None, "None") else [str(name) for name in logged]


def _complete_sets(runs: Sequence[Found], parts: Mapping[str, Predictions]) -> list[list[Found]]:
    """Put the runs of one seed together; they must not have tested the same window twice."""
    by_seed: dict[str, list[Found]] = {}
    for run in runs:
        by_seed.setdefault(run.params.get("seed", ""), []).append(run)
    windows = []
    for members in by_seed.values():
        seen: dict[tuple[str, int], str] = {}
        for run in members:
            for window in parts[run.run_id].windows():
                if seen.setdefault(window, run.run_id) != run.run_id:
                    raise ConfigError(
                        f"runs {seen[window]} and {run.run_id} have the same seed and were both "
                        f"tested on record {window[0]}: they are neither folds nor seeds; "
                        "narrow the condition"
                    )
        windows.append(frozenset(seen))
    if len(set(windows)) > 1:
        raise ConfigError(
            "the seeds were not tested on the same windows: a fold is missing for some; "
            f"runs per seed: { ({seed: len(members) for seed, members in by_seed.items()}) }"
        )
    return list(by_seed.values())


def _what(sets: Sequence[Sequence[Found]]) -> str:
    folds = f"{len(sets[0])} folds pooled" if len(sets[0]) > 1 else "one test split"
    return f"{folds}, {len(sets)} seeds" if len(sets) > 1 else folds


def _measured(
    labels: Sequence[str], predictions: Predictions, f1_labels: Sequence[str] | None
) -> dict[str, float]:
    from ecgexp.training.metrics import measured

    return measured(
        labels,
        predictions.y,
        predictions.logits,
        threshold=predictions.threshold,
        f1_labels=f1_labels,
    )


def _shown(figures: Mapping[str, float]) -> dict[str, float]:
    return {name: figures[name] for name in SHOWN if name in figures}


def _figures(
    labels: Sequence[str],
    pools: Sequence[Predictions],
    f1_labels: Sequence[str] | None,
    config: dict[str, Any],
) -> tuple[dict[str, Interval], str]:
    from ecgexp.training.intervals import mean_over_runs, patient_bootstrap

    if len(pools) > 1:
        each = [_measured(labels, pool, f1_labels) for pool in pools]
        means = {name: mean_over_runs([one[name] for one in each]) for name in each[0]}
        return means, "mean over seeds with Student's 95 % interval"
    (pool,) = pools
    intervals = patient_bootstrap(
        pool.patient,
        lambda rows: _measured(labels, pool.taken(rows), f1_labels),
        n_draws=config["n_draws"],
        seed=config["seed"],
    )
    return intervals, f"95 % interval from {config['n_draws']} draws of patients"
