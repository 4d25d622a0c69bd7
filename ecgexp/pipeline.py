"""The ordered stages of an experiment: prepare, fit, test, quantize, deploy.

The only module that knows all parts; each stage writes into the same MLflow run.
"""

from __future__ import annotations

import logging
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ecgexp.config.build import build
from ecgexp.config.compose import Job, load_job, save_job, to_yaml
from ecgexp.config.validate import validate
from ecgexp.errors import ConfigError, EcgexpError
from ecgexp.tracking import names
from ecgexp.tracking.provenance import git_tags

if TYPE_CHECKING:
    from ecgexp.tracking.run import Run
    from ecgexp.tracking.store import Store
    from ecgexp.types import Bundle, DeployReport

log = logging.getLogger(__name__)


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
    """

    run_id: str
    name: str
    status: str
    metrics: dict[str, float]
    tags: dict[str, str]
    error: str | None = None


def open_store(config: dict[str, Any]) -> Store:
    """Return the store that a configuration names."""
    store: Store = build(config["tracking"], path="tracking", home=home_folder(config))
    return store


def home_folder(config: dict[str, Any]) -> Path:
    """Return `paths.home` as an absolute folder."""
    return Path(config["paths"]["home"]).expanduser().resolve()


def run(job: Job, *, sweep_id: str | None = None) -> Outcome:
    """Run every stage of a job in one MLflow run, or finish the run that `resume` names.

    Args:
        job: A composed configuration.
        sweep_id: Common tag of the jobs of one sweep.

    Raises:
        EcgexpError: Bad input or a missing tool; the run, once open, is left FAILED.
    """
    resumed = job.config.get("resume")
    if resumed:
        experiment_run = open_store(job.config).reopen(str(resumed))
        job = load_job(experiment_run.folder / "job.yaml")
        validate(job)
    else:
        validate(job)
        experiment_run = _start(job, sweep_id)
    with experiment_run.active():
        _stages(job, experiment_run)
    return outcome(experiment_run)


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
    chosen = (job.choices.get(group) for group in ("dataset", "architecture", "quantization"))
    parts = [job.config["name"], *(choice for choice in chosen if choice)]
    return "-".join([*dict.fromkeys(parts), f"s{job.config['seed']}"])


def _start(job: Job, sweep_id: str | None) -> Run:
    tags = {names.FINGERPRINT_TAG: job.fingerprint, names.OVERRIDES_TAG: " ".join(job.overrides)}
    if sweep_id:
        tags[names.SWEEP_TAG] = sweep_id
    experiment_run = open_store(job.config).start(
        name=run_name(job), params=_flat(job.config), tags={**tags, **git_tags()}
    )
    save_job(job, experiment_run.folder / "job.yaml")
    (experiment_run.folder / "config.yaml").write_text(to_yaml(job.config), encoding="utf-8")
    log.info("run %s: %s", experiment_run.run_id, run_name(job))
    return experiment_run


def _flat(node: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in node.items():
        if isinstance(value, dict):
            flat.update(_flat(value, f"{prefix}{key}."))
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def _stages(job: Job, experiment_run: Run) -> None:
    """Do the stages in order; a stage that an earlier start finished is not done again."""
    config = job.config
    seed_everything(config["seed"])
    with experiment_run.stage("prepare"):
        data = build_data(config)
        data.prepare(progress=True)
    best = experiment_run.folder / "best.ckpt"
    if not (experiment_run.stage_done("fit") and best.is_file()):
        with experiment_run.stage("fit"):
            _fit(job, data, experiment_run, best)
    bundle_folder = experiment_run.folder / "bundle"
    if not (experiment_run.stage_done("quantize") and bundle_folder.is_dir()):
        _export_stages(job, data, experiment_run, best)
    with experiment_run.stage("deploy"):
        deploy_bundle(config, read_bundle_folder(bundle_folder), experiment_run)
