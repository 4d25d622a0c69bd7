"""The deploy stage: compile a bundle, run it on the target, log what the device did."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ecgexp.config.build import build
from ecgexp.tracking import names

if TYPE_CHECKING:
    from pathlib import Path

    from ecgexp.tracking.run import Run
    from ecgexp.types import DeployReport


def deploy_bundle(config: dict[str, Any], bundle_folder: Path, experiment_run: Run) -> Any:
    """Compile, run and measure a bundle on the configured target; log it under its name."""
    from ecgexp.quantization.bundle import read_bundle

    target = build(config["target"], path="target")
    deployer = build(config["deploy"], path="deploy")
    folder = experiment_run.folder / "deploy" / target.name
    report = deployer.deploy(read_bundle(bundle_folder), target, folder)
    if report is not None:
        _log_report(report, experiment_run)
    return report


def _log_report(report: DeployReport, experiment_run: Run) -> None:
    """Write a report's figures, tags and files into a run."""
    experiment_run.log_metrics(
        {names.deploy_metric(report.target, name): v for name, v in report.metrics.items()}
    )
    reason = "; ".join(report.limit_violations) or "every limit holds"
    experiment_run.set_tags(
        {
            names.DEPLOYABLE_TAG: str(report.deployable).lower(),
            names.REASON_TAG: f"{report.target}: {reason}",
            names.deployable_tag(report.target): "true" if report.deployable else reason,
            names.FIDELITY_TAG: report.fidelity,
        }
    )
    for path in report.artefacts:
        place = f"deploy/{report.target}/{path.name if path.is_dir() else ''}"
        experiment_run.log_artefact(path, place.rstrip("/"))
