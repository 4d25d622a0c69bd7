"""What a network costs on the device when nothing of it is trained again."""

from __future__ import annotations

import logging
import shutil
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ecgexp.config.build import build
from ecgexp.errors import BuildError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import nn

    from ecgexp.types import SignalSpec

log = logging.getLogger(__name__)

_N_GOLDEN = 2


def device_figures(
    network: nn.Module,
    spec: SignalSpec,
    quantizer: Any,
    windows: NDArray[np.float32],
    config: Mapping[str, Any],
) -> dict[str, float] | None:
    """Quantize, compile and run a network in a folder that does not stay.

    Args:
        network: Maps (batch, *window_shape) to (batch, class) logits.
        spec: Its input and output.
        quantizer: One that trains nothing.
        windows: Windows (window, ...) to calibrate with; two of them are run.
        config: Names the target and how to deploy; limits and profile are left out.

    Returns:
        Figures by their bare names, such as `flash_bytes`; None where the network does not fit the
        target.

    Raises:
        BuildError: The network cannot be compiled.
        RunnerError: It did not run to its end.
    """
    started = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="ecgexp-probe-"))
    try:
        figures = _deployed(network, spec, quantizer, windows, config, folder)
    except BuildError as error:
        if "does not fit" not in str(error):
            raise
        log.info("probe: %s", error)
        return None
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    log.info("probe: measured the network on the target in %.1f s", time.monotonic() - started)
    return figures


def _deployed(
    network: nn.Module,
    spec: SignalSpec,
    quantizer: Any,
    windows: NDArray[np.float32],
    config: Mapping[str, Any],
    folder: Path,
) -> dict[str, float]:
    from ecgexp.quantization.bundle import write_bundle
    from ecgexp.quantization.export import export_onnx

    float_onnx = export_onnx(network, spec, folder / "float.onnx")
    onnx = quantizer.quantize(float_onnx, windows, folder / "model.onnx")
    bundle = write_bundle(
        folder / "bundle",
        name="probe",
        spec=spec,
        scheme=quantizer.scheme,
        checkpoint=None,
        config=None,
        float_onnx=None,
        onnx=onnx,
        golden_windows=windows[:_N_GOLDEN],
    )
    limits = dict.fromkeys(config["deploy"]["limits"])
    settings = {**config["deploy"], "n_golden": _N_GOLDEN, "profile": "none", "limits": limits}
    deployer = build(settings, path="deploy")
    report = deployer.deploy(bundle, build(config["target"], path="target"), folder / "deploy")
    # Whether the outputs of a network that is not kept agree is no finding.
    return {k: v for k, v in report.metrics.items() if not k.startswith("golden")}
