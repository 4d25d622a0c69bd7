"""The ordered stages of an experiment: prepare, fit, test, quantize, deploy.

The only module that knows all parts; each stage writes into the same MLflow run.
"""

from __future__ import annotations

import inspect
import logging
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ecgexp.config.build import build, locate
from ecgexp.config.compose import Job, load_job, save_job, to_yaml
from ecgexp.config.validate import validate
from ecgexp.tracking import names
from ecgexp.tracking.provenance import git_tags

if TYPE_CHECKING:
    from torch import nn

    from ecgexp.dataset.datamodule import EcgDataModule
    from ecgexp.tracking.run import Run
    from ecgexp.tracking.store import Store
    from ecgexp.types import DeployReport, SignalSpec

log = logging.getLogger(__name__)

BEST = "best.ckpt"
FLOAT_ONNX = "model_float.onnx"


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
        if not resumed:
            save_job(job, experiment_run.folder / "job.yaml")
            (experiment_run.folder / "config.yaml").write_text(to_yaml(job.config), "utf-8")
        log.info("run %s: %s", experiment_run.run_id, run_name(job))
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
    return open_store(job.config).start(
        name=run_name(job), params=_flat(job.config), tags={**tags, **git_tags()}
    )


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
    from pytorch_lightning import seed_everything

    config = job.config
    folder = experiment_run.folder
    seed_everything(config["seed"], workers=True, verbose=False)
    with experiment_run.stage("prepare"):
        build(config["deploy"], path="deploy").check(build(config["target"], path="target"))
        data = build_data(config)
        data.prepare(progress=True)
        if data.caveat:
            experiment_run.set_tags({names.CAVEAT_TAG: data.caveat})
    if not _is_done(experiment_run, "fit", folder / BEST):
        with experiment_run.stage("fit"):
            _fit(job, data, experiment_run)
    if not _is_done(experiment_run, "test", folder / FLOAT_ONNX):
        with experiment_run.stage("test"):
            _test(config, data, experiment_run)
    if not _is_done(experiment_run, "quantize", folder / "bundle" / "bundle.json"):
        with experiment_run.stage("quantize"):
            _quantize(job, data, experiment_run)
    with experiment_run.stage("deploy"):
        deploy_bundle(config, folder / "bundle", experiment_run)


def _is_done(experiment_run: Run, stage: str, product: Path) -> bool:
    return experiment_run.stage_done(stage) and product.is_file()


def build_data(config: dict[str, Any]) -> EcgDataModule:
    """Return the data module that a configuration describes; nothing is read yet."""
    chain = build(config["preprocessing"], path="preprocessing")
    folder = config["paths"]["data"]
    data: EcgDataModule = build(
        config["dataset"],
        path="dataset",
        chain=chain,
        data_dir=Path(folder).expanduser().resolve() if folder else None,
        cache_dir=home_folder(config) / "cache",
        seed=config["seed"],
    )
    data.augment(build(config["augmentation"], path="augmentation"))
    return data


def _network(config: dict[str, Any], spec: SignalSpec) -> nn.Module:
    network: nn.Module = build(config["architecture"], path="architecture", spec=spec)
    return network


def _fit(job: Job, data: EcgDataModule, experiment_run: Run) -> None:
    """Train from the start or from where a kill left it; keep the best checkpoint."""
    from ecgexp.report import pictures
    from ecgexp.training.fit import fit

    config, folder = job.config, experiment_run.folder
    checkpoints = folder / "checkpoints"
    last = checkpoints / "last.ckpt"
    callbacks = [
        build(node, path=f"callbacks.{name}", **_folder_if_taken(node, name, checkpoints))
        for name, node in config["callbacks"].items()
    ]
    trainer = build(
        config["trainer"],
        path="trainer",
        callbacks=callbacks,
        logger=experiment_run.lightning_logger(),
        default_root_dir=str(folder),
    )
    best = fit(
        data=data,
        network=_network(config, data.spec),
        objective=build(
            config["objective"], path="objective", spec=data.spec, class_counts=data.class_counts
        ),
        optimizer=build(config["optimizer"], path="optimizer"),
        trainer=trainer,
        monitor=config["monitor"]["metric"],
        seed=config["seed"],
        resume_from=last if last.is_file() else None,
        run_info={"config": config},
    )
    shutil.copyfile(best, folder / BEST)
    experiment_run.log_artefact(
        pictures.learning_curves(trainer.lightning_module.history, folder / "learning_curves.png")
    )


def _folder_if_taken(node: dict[str, Any], name: str, folder: Path) -> dict[str, Path]:
    takes = inspect.signature(locate(node, f"callbacks.{name}")).parameters
    return {"folder": folder} if "folder" in takes else {}


def _test(config: dict[str, Any], data: EcgDataModule, experiment_run: Run) -> None:
    """Export the best checkpoint and measure the exported network once on the test split."""
    import numpy as np

    from ecgexp.quantization.export import export_onnx
    from ecgexp.quantization.reference import run_onnx
    from ecgexp.report import pictures
    from ecgexp.training.evaluate import evaluate
    from ecgexp.training.metric_names import of_split
    from ecgexp.training.metrics import classification_metrics

    folder = experiment_run.folder
    network = _network(config, data.spec)
    y, torch_logits = evaluate(network, data, "test", checkpoint=folder / BEST)
    onnx = export_onnx(network, data.spec, folder / FLOAT_ONNX)
    test = data.split("test")
    logits = run_onnx(onnx, test.x)
    metrics = classification_metrics(data.spec.labels, y, logits)
    experiment_run.log_metrics(
        {
            **of_split("test", metrics),
            "test/torch_accuracy": float(np.mean(torch_logits.argmax(1) == y)),
            "test/torch_onnx_max_difference": float(np.abs(torch_logits - logits).max()),
        }
    )
    labels = data.spec.labels
    for picture in (
        pictures.confusion_matrix(labels, y, logits.argmax(1), folder / "confusion_matrix.png"),
        pictures.error_examples(data.spec, test, logits, folder / "error_examples.png"),
    ):
        experiment_run.log_artefact(picture)


def _quantize(job: Job, data: EcgDataModule, experiment_run: Run) -> None:
    """Quantize, say what it cost on the test split, and pack the bundle."""
    from ecgexp.quantization.bundle import write_bundle
    from ecgexp.quantization.evaluate import check_drop
    from ecgexp.quantization.reference import run_onnx
    from ecgexp.training.metrics import classification_metrics

    config, folder = job.config, experiment_run.folder
    quantizer = build(config["quantization"], path="quantization")
    calibration = data.calibration_windows(quantizer.n_calibration)
    onnx = quantizer.quantize(folder / FLOAT_ONNX, calibration, folder / "model.onnx")
    if quantizer.scheme != "none":
        test = data.split("test")
        logits = run_onnx(onnx, test.x)
        metrics = classification_metrics(data.spec.labels, test.y, logits)
        accuracy = experiment_run.metrics["test/accuracy"]
        drop = accuracy - metrics["accuracy"]
        experiment_run.log_metrics(
            {
                "quantization/float_accuracy": accuracy,
                "quantization/accuracy_drop": drop,
                **{f"quantization/int8_{name}": value for name, value in metrics.items()},
            }
        )
        check_drop(drop, quantizer.max_drop)
    bundle = write_bundle(
        folder / "bundle",
        name=run_name(job),
        spec=data.spec,
        scheme=quantizer.scheme,
        checkpoint=folder / BEST,
        config=folder / "config.yaml",
        float_onnx=folder / FLOAT_ONNX,
        onnx=onnx,
        golden_windows=data.golden_windows(config["deploy"]["n_golden"]),
    )
    experiment_run.log_artefact(bundle.folder, "bundle")


def deploy_bundle(config: dict[str, Any], bundle_folder: Path, experiment_run: Run) -> Any:
    """Compile, run and measure a bundle on the configured target; log it under its name."""
    from ecgexp.quantization.bundle import read_bundle

    target = build(config["target"], path="target")
    deployer = build(config["deploy"], path="deploy")
    folder = experiment_run.folder / "deploy" / target.name
    report = deployer.deploy(read_bundle(bundle_folder), target, folder)
    if report is not None:
        log_report(report, experiment_run)
    return report


def log_report(report: DeployReport, experiment_run: Run) -> None:
    """Write a report's figures, tags and files into a run."""
    experiment_run.log_metrics(
        {names.deploy_metric(report.target, name): v for name, v in report.metrics.items()}
    )
    reason = "; ".join(report.limit_violations) or "every limit holds"
    experiment_run.set_tags(
        {
            names.DEPLOYABLE_TAG: str(report.deployable).lower(),
            names.REASON_TAG: f"{report.target}: {reason}",
            names.FIDELITY_TAG: report.fidelity,
        }
    )
    for path in report.artefacts:
        place = f"deploy/{report.target}/{path.name if path.is_dir() else ''}"
        experiment_run.log_artefact(path, place.rstrip("/"))


def find_by_sweep(job: Job, sweep_id: str) -> list[Outcome]:
    """Return the outcome of one job of a sweep, empty when its run was never opened."""
    store = open_store(job.config)
    condition = (
        f"tags.`{names.SWEEP_TAG}` = '{sweep_id}' and "
        f"tags.`{names.FINGERPRINT_TAG}` = '{job.fingerprint}'"
    )
    return [outcome(store.reopen(found.run_id)) for found in store.search(condition)]
