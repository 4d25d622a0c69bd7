"""Deploy again: an old run on another target, or an ONNX file that no run made."""

from __future__ import annotations

from pathlib import Path

from ecgexp.config.build import build
from ecgexp.config.compose import Job
from ecgexp.config.validate import validate
from ecgexp.errors import ConfigError
from ecgexp.pipeline import deploy_bundle, home_folder, open_store
from ecgexp.types import DeployReport


def redeploy(job: Job) -> tuple[DeployReport, str]:
    """Compile and measure one network.

    Args:
        job: Composed from `conf/redeploy.yaml`, with `run_id` or `onnx`.

    Returns:
        The report, and the run it was written into (empty for an ONNX file).

    Raises:
        ConfigError: Not exactly one of `run_id` and `onnx` is given, or `deploy=none`.
    """
    validate(job)
    config = job.config
    if (config["run_id"] is None) == (config["onnx"] is None):
        raise ConfigError(
            f"run_id={config['run_id']!r}, onnx={config['onnx']!r}: give exactly one of "
            "run_id=RUN and onnx=net.onnx"
        )
    if config["onnx"] is not None:
        return _deploy_file(job), ""
    experiment_run = open_store(config).reopen(str(config["run_id"]))
    with experiment_run.active(keep_status=True), experiment_run.stage("deploy"):
        folder = experiment_run.folder / "fetched"
        report = deploy_bundle(
            config, experiment_run.fetch_artefact("bundle", folder), experiment_run
        )
    return _some(report), experiment_run.run_id


def _deploy_file(job: Job) -> DeployReport:
    from ecgexp.quantization.bundle import bundle_from_onnx

    config = job.config
    onnx = Path(config["onnx"]).expanduser()
    golden = Path(config["golden"]).expanduser() if config["golden"] else None
    target = build(config["target"], path="target")
    folder = home_folder(config) / "deploy" / f"{onnx.stem}-{target.name}"
    deployer = build(config["deploy"], path="deploy")
    bundle = bundle_from_onnx(
        onnx, golden, folder / "bundle", seed=config["seed"], n_golden=deployer.n_golden
    )
    return _some(deployer.deploy(bundle, target, folder))


def _some(report: DeployReport | None) -> DeployReport:
    if report is None:
        raise ConfigError("deploy=none: `ecgexp deploy` has nothing to do; use deploy=tvm")
    return report
