"""Promote a run: check that it may go on a device, export its library, register the model."""

from __future__ import annotations

import json
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ecgexp.config.build import build
from ecgexp.config.compose import Job
from ecgexp.config.validate import validate
from ecgexp.errors import ConfigError, PromotionError
from ecgexp.pipeline import open_store
from ecgexp.tracking import names

if TYPE_CHECKING:
    from ecgexp.target import Target
    from ecgexp.tracking.run import Run
    from ecgexp.types import Bundle

_NAME = re.compile(r"[A-Za-z0-9][\w -]{0,199}")
_ALIAS = re.compile(r"(?!v\d+$)(?!latest$)[A-Za-z][\w-]{0,99}", re.IGNORECASE)
_KEPT = (
    names.TEST_F1,
    names.TEST_ACCURACY,
    names.INT8_ACCURACY,
    names.INT8_DROP,
    "quantization/int8_f1_macro",
)


@dataclass(frozen=True, kw_only=True)
class Promoted:
    """A version in the registry.

    Attributes:
        name: The registered model.
        version: Its number.
        alias: Now pointing at it.
        run_id: The run that made it.
        store_uri: MLflow's tracking and registry address.
        tags: Labels, figures and origin as kept with the version.
    """

    name: str
    version: int
    alias: str
    run_id: str
    store_uri: str
    tags: dict[str, str]

    @property
    def uri(self) -> str:
        """What MLflow loads."""
        return f"models:/{self.name}@{self.alias}"


def promote(job: Job) -> Promoted:
    """Register the model of a run that may go on the target.

    Args:
        job: Composed from `conf/promote.yaml`, with `run_id`.

    Raises:
        ConfigError: An option cannot be used.
        PromotionError: The run may not be promoted; the message says why.
        TrackingError: There is no such run, or MLflow refuses name or alias.
    """
    from ecgexp.quantization.bundle import read_bundle

    validate(job)
    config = job.config
    name, alias = _checked_names(config)
    target: Target = build(config["target"], path="target")
    exporter = build(config["export"], path="export")
    store = open_store(config)
    run = store.reopen(str(config["run_id"]))
    require_promotable(run, target.name)
    with tempfile.TemporaryDirectory(prefix="ecgexp-promote-") as scratch:
        bundle = read_bundle(run.fetch_artefact("bundle", Path(scratch)))
        _require_golden_outputs(bundle)
        library = exporter.export(bundle, target, Path(scratch) / "library")
        tags = _tags(run, bundle, target.name)
        version = _register(store, run, bundle, library.folder, name, alias, tags)
    return Promoted(
        name=name, version=version, alias=alias, run_id=run.run_id, store_uri=store.uri, tags=tags
    )


def _checked_names(config: dict[str, Any]) -> tuple[str, str]:
    if config["run_id"] is None:
        raise ConfigError("which run? `ecgexp promote RUN`; `ecgexp select` lists them")
    for key in ("onnx", "golden", "output"):
        if config[key] is not None:
            raise ConfigError(f"{key}={config[key]}: `ecgexp promote` takes a run, nothing else")
    name, alias = str(config["name"]), str(config["alias"])
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"name={name!r}: write letters, digits, spaces, - and _, for example afib"
        )
    if not _ALIAS.fullmatch(alias):
        raise ConfigError(
            f"alias={alias!r}: write a letter, then letters, digits, - or _; MLflow keeps "
            "`latest` and v1, v2, ... for itself"
        )
    return name, alias


def require_promotable(run: Run, target: str) -> None:
    """Check that a run's model may go on a target.

    Raises:
        PromotionError: It may not; one reason.
    """
    tags, metrics = run.tags, run.metrics
    start = f"run {run.run_id} may not be promoted"
    if names.KIND_TAG in tags:
        raise PromotionError(f"{start}: it holds a {tags[names.KIND_TAG]}; promote one of its runs")
    for key, state in sorted(tags.items()):
        if key.startswith(names.STAGE_TAG) and state in ("failed", "killed"):
            stage = key.removeprefix(names.STAGE_TAG)
            reason = tags.get(names.ERROR_TAG, "no reason was kept")
            raise PromotionError(f"{start}: its stage {stage} {state.upper()}: {reason}")
    status = run.status
    if status != "FINISHED":
        raise PromotionError(
            f"{start}: it is {status}; finish it with `ecgexp run resume={run.run_id}`"
        )
    golden = metrics.get(names.deploy_metric(target, "golden_equal"))
    if golden is None:
        raise PromotionError(
            f"{start}: it never ran on {target}; measure it with `ecgexp deploy "
            f"run_id={run.run_id} target={target}`, or choose the target=… it ran on"
        )
    if golden != 1.0:
        raise PromotionError(
            f"{start}: its golden outputs differ on {target}: only {golden:.4f} of them equal ONNX "
            f"Runtime's; see deploy/{target}/inferences.csv"
        )
    verdict = tags.get(names.deployable_tag(target))
    if verdict is None:
        raise PromotionError(
            f"{start}: no verdict about its limits on {target} was kept; measure it again with "
            f"`ecgexp deploy run_id={run.run_id} target={target}`"
        )
    if verdict != "true":
        raise PromotionError(
            f"{start}: it broke its limits on {target}: {verdict}; choose another run, or deploy "
            "it again with deploy.limits that it keeps"
        )


def _require_golden_outputs(bundle: Bundle) -> None:
    """Run the very file that is registered: another library than the run's may round otherwise."""
    import numpy as np

    from ecgexp.quantization.bundle import read_golden
    from ecgexp.quantization.reference import run_onnx

    x, y = read_golden(bundle)
    outputs = run_onnx(bundle.onnx, x)
    if not np.array_equal(outputs, y):
        raise PromotionError(
            f"{bundle.name} may not be promoted: its golden outputs differ here, by up to "
            f"{np.abs(outputs - y).max():.3g}; is this another ONNX Runtime than "
            f"{bundle.versions.get('onnxruntime')}?"
        )


def _tags(run: Run, bundle: Bundle, target: str) -> dict[str, str]:
    device = names.deploy_metric(target, "")
    figures = {
        key: f"{value:.10g}"
        for key, value in run.metrics.items()
        if key.startswith(device) or key in _KEPT
    }
    return {
        **figures,
        "ecgexp.labels": json.dumps(list(bundle.spec.labels)),
        "ecgexp.target": target,
        "ecgexp.quantization": bundle.scheme,
        "ecgexp.network": bundle.name,
        names.FINGERPRINT_TAG: run.tags.get(names.FINGERPRINT_TAG, ""),
    }


def _register(
    store: Any, run: Run, bundle: Bundle, library: Path, name: str, alias: str, tags: dict[str, str]
) -> int:
    from ecgexp.tracking.registry import register, write_model

    model = write_model(
        library.parent / "model",
        bundle.onnx,
        metadata={"spec": bundle.spec.to_dict(), "scheme": bundle.scheme, "name": bundle.name},
        extra={"library": library, "golden.npz": bundle.golden},
    )
    return register(store, run, model, name=name, alias=alias, tags=tags)
