"""Find out before training what a network costs, and whether it could ever be deployed.

Bounds come from the untrained network in milliseconds. What they leave open is measured once per
architecture: the untrained network is quantized, compiled and run on the target like a trained one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ecgexp.config.build import build
from ecgexp.pipeline.parts import build_network, home_folder
from ecgexp.pipeline.probe import device_figures
from ecgexp.tracking.names import deploy_metric

if TYPE_CHECKING:
    from torch import nn

    from ecgexp.types import SignalSpec

# What decides, beside the target, how a network is compiled.
DEPLOY_KEYS = ("allow_float_ops", "tune", "bit_planes", "pack_int4")

# Schemes whose code does not depend on what the weights are.
_SAME_CODE = ("none", "ptq_int8")
_BYTES = {"none": 4, "ptq_int8": 1}
# Products that one instruction can do at most, by instruction set and bytes of a number.
_PRODUCTS = {("mve", 1): 16, ("mve", 4): 4, ("dsp", 1): 2, ("dsp", 4): 1}
_N_CALIBRATION = 16
_FITS = "fits_target"
# What changes training and nothing of the trained network's form.
_ONLY_IN_TRAINING = ("dropout", "drop_connect")
PARAMETERS, MACS = "network/parameters", "network/macs"


class Gate:
    """What one configuration's network costs.

    Args:
        config: A trial's configuration.
        spec: Windows and classes.

    Attributes:
        metrics: Full metric names to values, as far as they are known.
    """

    def __init__(self, *, config: Mapping[str, Any], spec: SignalSpec) -> None:
        from ecgexp.architecture.size import measure_size

        self._config, self._spec = config, spec
        self._network: nn.Module = build_network(dict(config), spec)
        self._scheme: str = build(config["quantization"], path="quantization").scheme
        self._prunes = hasattr(build(config["pruning"], path="pruning"), "prune")
        size = measure_size(self._network, spec)
        self._macs = size.macs
        self.metrics: dict[str, float] = {PARAMETERS: size.trainable, MACS: size.macs}

    @property
    def measures(self) -> bool:
        """Whether the device's figures are known without training."""
        compiles = "limits" in self._config["deploy"]
        return compiles and self._scheme in _SAME_CODE and not self._prunes

    def bounds(self) -> dict[str, float]:
        """Return what the network needs at least, by the names of `deploy.limits`."""
        if self._scheme not in _BYTES or self._prunes:
            return {}
        n_bytes = _BYTES[self._scheme]
        weights = sum(p.numel() for p in self._network.parameters() if p.dim() > 1)
        isa = self._config["target"]["isa"]
        return {
            "flash_bytes": float(weights * n_bytes),
            "instructions": self._macs / _PRODUCTS.get((isa, n_bytes), 1),
        }

    def measure(self) -> dict[str, float]:
        """Return the device's figures by their bare names, from the cache where it has them.

        A network that does not fit the target has only `fits_target`, 0.
        """
        from filelock import FileLock

        folder = home_folder(dict(self._config)) / "cache" / "search"
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{self._fingerprint()}.json"
        with FileLock(f"{path}.lock"):
            if path.is_file():
                found: dict[str, float] = json.loads(path.read_text(encoding="utf-8"))
                return found
            found = self._measured()
            aside = path.with_suffix(".part")
            aside.write_text(json.dumps(found), encoding="utf-8")
            aside.replace(path)
        return found

    def _fingerprint(self) -> str:
        from ecgexp.deploy.tune import source_stamp

        deploy = self._config["deploy"]
        network = self._config["architecture"]
        parts = {
            "architecture": {k: v for k, v in network.items() if k not in _ONLY_IN_TRAINING},
            "spec": self._spec.to_dict(),
            "quantization": {"scheme": self._scheme},
            "target": self._config["target"],
            "deploy": {key: deploy[key] for key in DEPLOY_KEYS},
            "source": source_stamp(build(self._config["target"], path="target")),
        }
        text = json.dumps(parts, sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:24]

    def _measured(self) -> dict[str, float]:
        import numpy as np

        windows = np.random.default_rng(0).standard_normal(
            (_N_CALIBRATION, *self._spec.window_shape), np.float32
        )
        quantizer = build(self._config["quantization"], path="quantization")
        figures = device_figures(self._network, self._spec, quantizer, windows, self._config)
        return {_FITS: 0.0} if figures is None else {**figures, _FITS: 1.0}

    def named(self, figures: Mapping[str, float]) -> dict[str, float]:
        """Return figures of the device under their full names."""
        target = self._config["target"]["name"]
        return {deploy_metric(target, k): v for k, v in figures.items() if k != _FITS}


def violations(
    figures: Mapping[str, float], config: Mapping[str, Any], *, at_least: bool = False
) -> tuple[dict[str, float], list[str]]:
    """Compare figures with `deploy.limits`.

    Args:
        figures: Bare names to values.
        config: A trial's configuration.
        at_least: Whether the figures are lower bounds.

    Returns:
        Limit to how far it is exceeded as a share of it, 0 or less where it holds; and a sentence
        per exceeded limit.
    """
    limits = config["deploy"].get("limits", {})
    excess = {
        name: -1.0 if limit is None or name not in figures else figures[name] / limit - 1.0
        for name, limit in limits.items()
    }
    if limits and not at_least:
        excess["fits"] = 1.0 if figures.get(_FITS) == 0.0 else -1.0
    need = "needs at least" if at_least else "needs"
    reasons = [
        f"{need} {figures[name]:,.0f} {name}, deploy.limits.{name}={limits[name]:g}"
        for name, share in excess.items()
        if share > 0 and name != "fits"
    ]
    if excess.get("fits", 0) > 0:
        reasons.append(f"does not fit target {config['target']['name']}")
    return excess, reasons
