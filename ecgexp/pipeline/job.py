"""One job and its stages, from preparing data to the page, all into the same MLflow run."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ecgexp.config.build import build
from ecgexp.config.compose import Job, load_job, save_job, to_yaml
from ecgexp.config.validate import validate
from ecgexp.pipeline.check import check_stages
from ecgexp.pipeline.deploy import deploy_bundle
from ecgexp.pipeline.export import FLOAT_ONNX, export_network, validate_network
from ecgexp.pipeline.fit import fit_network
from ecgexp.pipeline.page import write_page
from ecgexp.pipeline.parts import build_data, open_store
from ecgexp.pipeline.prune import prune_network
from ecgexp.pipeline.quantize import BUNDLE, quantize_network
from ecgexp.pipeline.room import BEST, PRUNED, Room
from ecgexp.pipeline.test import measure_on_test
from ecgexp.pipeline.trial import Trial
from ecgexp.tracking import names

if TYPE_CHECKING:
    from ecgexp.tracking.run import Run

log = logging.getLogger(__name__)

JOB_FILE = "job.yaml"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a job left behind, for the closing table.

    Attributes:
        run_id: MLflow run id, empty when no run was opened.
        name: Name of the run.
        status: FINISHED, FAILED or KILLED.
        metrics: Last value of every metric.
        tags: Tags of the run.
        error: The reason when the job failed.
        how: What a sweep did instead of a fresh start: skipped, resumed or reused.
    """

    run_id: str
    name: str
    status: str
    metrics: dict[str, float]
    tags: dict[str, str]
    error: str | None = None
    how: str = ""


def run(
    job: Job,
    *,
    parent_run_id: str | None = None,
    tags: Mapping[str, str] | None = None,
    trial: Trial | None = None,
) -> Outcome:
    """Run every stage of a job in one MLflow run, or finish the run that `resume` names.

    Args:
        job: A composed configuration.
        parent_run_id: Run of the sweep or study that the job belongs to; such a job takes over
            the float network of another one that differs only in what comes after training.
        tags: Further tags of the run.
        trial: The trial of a search that the job is: it may stop the job, and the test split is
            left alone until a model is chosen.

    Raises:
        EcgexpError: Bad input or a missing tool; the run, once open, is left FAILED.
    """
    resumed = job.config.get("resume")
    if resumed:
        experiment_run = open_store(job.config).reopen(str(resumed))
        job = load_job(experiment_run.folder / JOB_FILE)
        validate(job)
    else:
        validate(job)
        experiment_run = _start(job, parent_run_id, tags or {})
    with experiment_run.active():
        if not resumed:
            keep_configuration(job, experiment_run.folder)
        log.info("run %s: %s", experiment_run.run_id, run_name(job))
        _stages(job, experiment_run, trial)
    return outcome(experiment_run)


def keep_configuration(job: Job, folder: Path) -> None:
    """Write into a run's folder what the run needs to be taken up again."""
    (folder / "config.yaml").write_text(to_yaml(job.config), "utf-8")
    save_job(job, folder / JOB_FILE)


def outcome(experiment_run: Run) -> Outcome:
    """Read a run back as an outcome."""
    tags = experiment_run.tags
    return Outcome(
        run_id=experiment_run.run_id,
        name=tags.get("mlflow.runName", ""),
        status=experiment_run.status,
        metrics=experiment_run.metrics,
        tags=tags,
        error=tags.get(names.ERROR_TAG),
    )


def run_name(job: Job) -> str:
    """Return the name of a job's run: what was chosen, shortly."""
    chosen = (
        job.choices.get(group) for group in ("dataset", "architecture", "pruning", "quantization")
    )
    parts = [job.config["name"], *(choice for choice in chosen if choice and choice != "none")]
    return "-".join([*dict.fromkeys(parts), f"s{job.config['seed']}"])


def _start(job: Job, parent_run_id: str | None, tags: Mapping[str, str]) -> Run:
    own = {names.FINGERPRINT_TAG: job.fingerprint, names.OVERRIDES_TAG: " ".join(job.overrides)}
    if parent_run_id:
        own[names.PARENT_TAG] = parent_run_id
    return open_store(job.config).start(
        name=run_name(job), params=_flat(job.config), tags={**own, **tags}
    )


def _flat(node: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in node.items():
        if isinstance(value, dict):
            flat.update(_flat(value, f"{prefix}{key}."))
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def _stages(job: Job, experiment_run: Run, trial: Trial | None) -> None:
    """Do the stages in order; a stage that an earlier start finished is not done again."""
    from pytorch_lightning import seed_everything

    from ecgexp.training.room import Pruner

    config, folder = job.config, experiment_run.folder
    seed_everything(config["seed"], workers=True, verbose=False)
    if trial is not None:
        trial.started(experiment_run)
    with experiment_run.stage("prepare"):
        build(config["deploy"], path="deploy").check(build(config["target"], path="target"))
        data = build_data(config)
        data.prepare(progress=True)
        if data.caveat:
            experiment_run.set_tags({names.CAVEAT_TAG: data.caveat})
        room = Room(config=config, data=data, run=experiment_run)
        check_stages(room)
    if trial is not None:
        trial.prepared(room)
    callbacks = trial.callbacks if trial is not None else ()
    pruning = build(config["pruning"], path="pruning")
    stages: list[tuple[str, Path, Callable[[], None]]] = [
        ("fit", folder / BEST, lambda: fit_network(room, callbacks)),
        ("export", folder / FLOAT_ONNX, lambda: export_network(room)),
        (
            "quantize",
            folder / BUNDLE / "bundle.json",
            lambda: quantize_network(room, run_name(job)),
        ),
    ]
    if isinstance(pruning, Pruner):
        deploys = trial is None and "limits" in config["deploy"]
        stages.insert(
            1, ("prune", folder / PRUNED, lambda: prune_network(room, pruning, deploys=deploys))
        )
    if trial is None:
        stages.append(("test", folder / FLOAT_ONNX, lambda: measure_on_test(room)))
    elif "export" not in trial.stages:
        stages.append(("validate", folder / BEST, lambda: validate_network(room)))
    for name, product, work in stages:
        if trial is not None and name not in trial.stages:
            continue
        if not (experiment_run.stage_done(name) and product.is_file()):
            with experiment_run.stage(name):
                work()
    if trial is None or "deploy" in trial.stages:
        with experiment_run.stage("deploy"):
            deploy_bundle(config, folder / BUNDLE, experiment_run)
    if trial is None:
        with experiment_run.stage("page"):
            write_page(room, run_name(job))
