"""Post-training int8 quantization with ONNX Runtime's static quantizer."""

from __future__ import annotations

import contextlib
import io
import logging
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process

from ecgexp.errors import ConfigError, ExportError
from ecgexp.quantization.bias import correct_biases
from ecgexp.quantization.coverage import KEPT_FLOAT, float_operators, silent_rectifiers
from ecgexp.quantization.equalize import equalize
from ecgexp.quantization.graph import input_shape, operator_counts, save_atomically
from ecgexp.quantization.ranges import mse_ranges
from ecgexp.quantization.tie_free import Overrides, quantized_tensors, tie_free_scales
from ecgexp.types import Scheme

log = logging.getLogger(__name__)

CALIBRATED = {
    "minmax": CalibrationMethod.MinMax,
    "percentile": CalibrationMethod.Percentile,
    "entropy": CalibrationMethod.Entropy,
}
METHODS = (*CALIBRATED, "mse")


class StaticInt8:
    """Int8 weights per output channel and int8 asymmetric activations, in QDQ form.

    Args:
        n_calibration: Training windows from which the ranges of the activations are taken.
        method: How a range is taken from them: `minmax`, `percentile`, `entropy` or `mse`.
        percentile: Share of values inside the range, in percent; read by `percentile` only.
        equalize: Bring the ranges of channels together first, see `equalize`.
        bias_correction: Take the mean error of rounded weights out of the biases.
        tie_free: Move scales by up to 0.2 % so that every implementation computes the same bits.
        sensitivity: Measure what every layer alone costs, on this many validation windows; 0 does
            not. Read by the quantize stage when nothing is trained.
        max_drop: Largest loss of validation accuracy against the float network, as a fraction; None
            accepts any.

    Raises:
        ConfigError: A value cannot be used.
    """

    scheme: Scheme = "ptq_int8"

    def __init__(
        self,
        *,
        n_calibration: int,
        method: str,
        percentile: float,
        equalize: bool,
        bias_correction: bool,
        tie_free: bool,
        sensitivity: int,
        max_drop: float | None,
    ) -> None:
        if n_calibration < 1:
            raise ConfigError(f"quantization.n_calibration={n_calibration}: write at least 1")
        if method not in METHODS:
            raise ConfigError(f"quantization.method={method!r}: write one of {sorted(METHODS)}")
        if not 50.0 < percentile <= 100.0:
            raise ConfigError(
                f"quantization.percentile={percentile}: write a number above 50 and up to 100"
            )
        if isinstance(sensitivity, bool) or sensitivity < 0:
            raise ConfigError(
                f"quantization.sensitivity={sensitivity!r}: write a number of windows, 0 for none"
            )
        if max_drop is not None and not 0.0 <= max_drop <= 1.0:
            raise ConfigError(f"quantization.max_drop={max_drop}: write null or a fraction 0..1")
        self.n_calibration = n_calibration
        self.method = method
        self.percentile = percentile
        self.equalizes = equalize
        self.bias_correction = bias_correction
        self.tie_free = tie_free
        self.sensitivity = sensitivity
        self.max_drop = max_drop

    @property
    def untrained(self) -> StaticInt8:
        """What quantizes without training: itself."""
        return self

    def quantize(
        self,
        float_onnx: Path,
        calibration: NDArray[np.float32],
        out: Path,
        given: Overrides | None = None,
    ) -> Path:
        """Write the int8 network.

        Args:
            float_onnx: The exported float network, batch 1.
            calibration: Windows (window, lead, sample) of the training split.
            out: File to write; it appears only when it is complete.
            given: Scales and zero points by tensor that are decided already: of weights that are
                whole multiples of them, of activations whose ranges were learned.

        Returns:
            `out`.

        Raises:
            ExportError: The windows cannot calibrate anything, or an operator stayed in float.
        """
        started = time.monotonic()
        _check_calibration(calibration, float_onnx)
        with tempfile.TemporaryDirectory(prefix="ecgexp-ptq-") as scratch, _quiet():
            prepared = Path(scratch) / "prepared.onnx"
            # Weights with decided scales were equalised before they were trained.
            self.prepare(float_onnx, calibration, prepared, plain=given is not None)
            source = onnx.load(prepared)
            decided = given or {}
            model = self._run(prepared, calibration, decided)
            if self.method == "mse":
                names = quantized_tensors(model)
                undecided = [name for name in names if name not in decided]
                decided |= mse_ranges(source, undecided, calibration, Path(scratch))
                model = self._run(prepared, calibration, decided)
            if self.bias_correction and given is None:
                source = correct_biases(source, model, calibration, Path(scratch))
                onnx.save(source, prepared)
                model = self._run(prepared, calibration, decided)
            made_up = silent_rectifiers(source, model)
            overrides = decided | made_up
            silent, with_ties = len(made_up), 0
            if silent:
                model = self._run(prepared, calibration, overrides)
            if self.tie_free:
                scales = tie_free_scales(source, model)
                with_ties = scales.left
                model = self._run(prepared, calibration, overrides | scales.overrides)
        _warn(silent, with_ties, len(calibration))
        left = float_operators(model)
        if left:
            raise ExportError(
                f"{out.name}: stayed in float after quantization: {', '.join(left)}; "
                "replace these operators in the architecture or run with quantization=none"
            )
        _strip(model, onnx.load(float_onnx))
        onnx.checker.check_model(model, full_check=True)
        save_atomically(model, out)
        seconds = time.monotonic() - started
        log.info("int8 by %s on %d windows in %.1f s", self.method, len(calibration), seconds)
        return out

    def prepare(
        self,
        float_onnx: Path,
        calibration: NDArray[np.float32],
        out: Path,
        *,
        plain: bool = False,
    ) -> Path:
        """Write the float network whose weights and activations will be rounded.

        Args:
            float_onnx: The exported network.
            calibration: Windows (window, lead, sample) of the training split.
            out: File to write: norms folded, shapes inferred, equalised if configured.
            plain: Leave equalisation out.
        """
        with _quiet():
            quant_pre_process(float_onnx, out, skip_symbolic_shape=True)
        if self.equalizes and not plain:
            model, n_links = equalize(onnx.load(out), calibration, out.parent)
            onnx.save(model, out)
            log.info("equalised %d links between layers", n_links)
        return out

    def _run(
        self, prepared: Path, calibration: NDArray[np.float32], overrides: Overrides
    ) -> onnx.ModelProto:
        out = prepared.with_name("int8.onnx")
        quantize_static(
            prepared,
            out,
            _Windows(prepared, calibration),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=sorted(set(operator_counts(onnx.load(prepared))) - KEPT_FLOAT),
            per_channel=True,
            activation_type=QuantType.QInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CALIBRATED.get(self.method, CalibrationMethod.MinMax),
            calibration_cache_path=prepared.with_name("ranges.json"),
            extra_options={
                "WeightSymmetric": True,
                # Symmetric activations would keep every Relu as a node and waste half the grid.
                "ActivationSymmetric": False,
                # Otherwise a Reshape or MaxPool right behind the input would stay in float.
                "ForceQuantizeNoInputCheck": True,
                "CalibPercentile": self.percentile,
                "TensorQuantOverrides": overrides,
            },
        )
        return onnx.load(out)


class _Windows(CalibrationDataReader):  # type: ignore[misc]
    """Feed calibration windows one by one."""

    def __init__(self, model: Path, windows: NDArray[np.float32]) -> None:
        self._name = onnx.load(model).graph.input[0].name
        self._windows = windows
        self._next = 0

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        if self._next == len(self._windows):
            return None
        window = self._windows[self._next : self._next + 1]
        self._next += 1
        return {self._name: np.ascontiguousarray(window, dtype=np.float32)}


def _check_calibration(windows: NDArray[np.float32], float_onnx: Path) -> None:
    shape = input_shape(onnx.load(float_onnx))[1:]
    if windows.shape[1:] != shape or len(windows) == 0:
        raise ExportError(
            f"calibration windows have shape {windows.shape}, {float_onnx.name} takes "
            f"(at least one, {', '.join(map(str, shape))}): pass windows of the training split"
        )
    bad = int((~np.isfinite(windows)).reshape(len(windows), -1).any(axis=1).sum())
    if bad:
        raise ExportError(
            f"{bad} of {len(windows)} calibration windows hold NaN or infinity: "
            "repair the recordings or the preprocessing of the training split"
        )
    if float(np.ptp(windows)) == 0.0:
        raise ExportError(
            f"all {len(windows)} calibration windows are constant ({windows.flat[0]:g}): no range "
            "can be taken from them; check the lead and the preprocessing of the training split"
        )


def _warn(silent: int, with_ties: int, n_windows: int) -> None:
    if silent:
        log.warning(
            "rectifiers that gave only zeros on %d calibration windows: %d; "
            "their ranges are made up, the network may be badly trained",
            n_windows,
            silent,
        )
    if with_ties:
        log.warning(
            "requantization factors too small to keep away from ties: %d; "
            "the device may differ from ONNX Runtime by one step there",
            with_ties,
        )


def _strip(model: onnx.ModelProto, source: onnx.ModelProto) -> None:
    """Keep the operators' own domain and the exporter's metadata only."""
    domains = {node.domain for node in model.graph.node}
    kept = [entry for entry in model.opset_import if entry.domain in domains]
    del model.opset_import[:]
    model.opset_import.extend(kept)
    model.graph.ClearField("value_info")
    del model.metadata_props[:]
    model.metadata_props.extend(source.metadata_props)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the quantizer's printed statistics and root-logger warnings out of the log."""
    disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logging.disable(disabled)
