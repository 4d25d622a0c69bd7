"""Export a network for somebody else's firmware: from an old run, or an ONNX file."""

from __future__ import annotations

import tempfile
from pathlib import Path

from ecgexp.config.build import build
from ecgexp.config.compose import Job
from ecgexp.config.validate import validate
from ecgexp.deploy.export.exporter import Exported, Exporter
from ecgexp.errors import ConfigError, TrackingError
from ecgexp.pipeline import home_folder, open_store
from ecgexp.target import Target
from ecgexp.types import Bundle


def export(job: Job) -> Exported:
    """Write one network as a library folder and an archive.

    Args:
        job: Composed from `conf/export.yaml`, with `run_id` or `onnx`.

    Raises:
        ConfigError: Not exactly one of `run_id` and `onnx` is given, or an option or the output
            folder cannot be used.
    """
    validate(job)
    config = job.config
    if (config["run_id"] is None) == (config["onnx"] is None):
        raise ConfigError(
            f"run_id={config['run_id']!r}, onnx={config['onnx']!r}: give exactly one of "
            "run_id=RUN and onnx=net.onnx"
        )
    exporter: Exporter = build(config["export"], path="export")
    target: Target = build(config["target"], path="target")
    if config["output"] is not None:
        exporter.require_free(_output(job, ""))
    with tempfile.TemporaryDirectory(prefix="ecgexp-export-") as scratch:
        bundle = _bundle(job, exporter, Path(scratch))
        profile = _profile(job, target, Path(scratch))
        folder = _output(job, f"{bundle.name}-{exporter.compiled_for(target)}")
        return exporter.export(bundle, target, folder, profile)


def _output(job: Job, name: str) -> Path:
    chosen = job.config["output"]
    if chosen is not None:
        return Path(str(chosen)).expanduser().absolute()
    return home_folder(job.config) / "export" / name


def _profile(job: Job, target: Target, scratch: Path) -> Path | None:
    """Return what each call cost when the run was deployed to the target, if it was."""
    if job.config["run_id"] is None:
        return None
    run = open_store(job.config).reopen(str(job.config["run_id"]))
    try:
        return run.fetch_artefact(f"deploy/{target.name}/profile.csv", scratch / "profile")
    except TrackingError:
        return None


def _bundle(job: Job, exporter: Exporter, scratch: Path) -> Bundle:
    from ecgexp.quantization.bundle import bundle_from_onnx, read_bundle

    config = job.config
    if config["run_id"] is not None:
        run = open_store(config).reopen(str(config["run_id"]))
        return read_bundle(run.fetch_artefact("bundle", scratch))
    golden = Path(config["golden"]).expanduser() if config["golden"] else None
    return bundle_from_onnx(
        Path(config["onnx"]).expanduser(),
        golden,
        scratch / "bundle",
        seed=config["seed"],
        n_golden=exporter.n_golden,
    )
