"""A QDQ graph as a torch module whose weights, biases and ranges are trained."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from onnxruntime.quantization import QuantType
from torch import Tensor, nn

from ecgexp.errors import ConfigError
from ecgexp.quantization.graph import producers
from ecgexp.quantization.qat.operators import as_constants, compile_node
from ecgexp.quantization.tie_free import Overrides, fixed

_SUFFIX = "_quantized"
_BORDER = ("QuantizeLinear", "DequantizeLinear")
LOWEST, HIGHEST = -128, 127


@dataclass(frozen=True, kw_only=True)
class LayerBits:
    """How many bits the weights of some layers have.

    Attributes:
        match: Pattern of weight names, as a shell matches file names.
        bits: 2 to 8.
    """

    match: str
    bits: int

    def __post_init__(self) -> None:
        """Check the number.

        Raises:
            ConfigError: It is out of range.
        """
        if isinstance(self.bits, bool) or not 2 <= self.bits <= 8:
            raise ConfigError(
                f"quantization.layers: {self.match!r} asks for {self.bits!r} bits; use 2 to 8"
            )


@dataclass(frozen=True)
class Weight:
    """One trained weight.

    Attributes:
        name: Its name in the float graph.
        scale: Name of its scales.
        axis: Axis of the output channels.
        bits: Width.
        n_values: Number of weights.
    """

    name: str
    scale: str
    axis: int
    bits: int
    n_values: int

    @property
    def largest(self) -> int:
        """Largest whole number; the smallest is its negative."""
        return int(2 ** (self.bits - 1) - 1)


class QuantizedNetwork(nn.Module):
    """Computes what ONNX Runtime computes on the QDQ graph as written, and passes gradients.

    Scales are trained through their logarithm (Esser et al. 2020, Jain et al. 2020); zero points
    stay, so that a range keeps its shape and a Relu its zero. Biases are rounded to int32 steps of
    input scale x weight scale, as the integer kernels do.

    Args:
        quantized: The network in QDQ form, batch 1.
        source: The float network that was quantized, for weights that are not rounded yet.
        layers: Bits by weight; the first match counts, 8 where none does.
        activations: False leaves activations unrounded inside their ranges, to see what weights
            alone cost.
        only: Names of the weights to quantize, None for all, to see what one layer costs.

    Raises:
        ExportError: An operator cannot be trained.
    """

    def __init__(
        self,
        quantized: onnx.ModelProto,
        source: onnx.ModelProto,
        layers: Sequence[LayerBits],
        *,
        activations: bool = True,
        only: frozenset[str] | None = None,
    ) -> None:
        super().__init__()
        self._constants = as_constants(quantized)
        self._made_by = producers(quantized)
        self._floats = as_constants(source)
        self._model = quantized
        self._layers = layers
        self._quantizes_activations = activations
        self._only = only
        self.parameters_of: dict[str, int] = {}
        self.trained = nn.ParameterList()
        self.weights: dict[str, Weight] = {}
        self._zero_points: dict[str, int] = {}
        self._steps: list[tuple[str, Callable[[dict[str, Tensor]], Tensor]]] = []
        self._input = quantized.graph.input[0].name
        self._output = quantized.graph.output[0].name
        for node in quantized.graph.node:
            step = self._step(node)
            if step is not None:
                self._steps.append((node.output[0], step))

    def forward(self, x: Tensor) -> Tensor:
        """Map windows (batch, lead, sample) to logits (batch, class)."""
        values = {self._input: x}
        for name, step in self._steps:
            values[name] = step(values)
        return values[self._output]

    def scale(self, name: str) -> Tensor:
        """Return the scale, () or (channel,), that stands under a name in the graph."""
        scale: Tensor = self._value(name).exp()
        return scale

    def _value(self, name: str) -> Tensor:
        value: Tensor = self.trained[self.parameters_of[name]]
        return value

    def _add(self, name: str, value: NDArray[Any]) -> None:
        if name not in self.parameters_of:
            self.parameters_of[name] = len(self.trained)
            self.trained.append(nn.Parameter(torch.tensor(np.array(value, np.float32))))

    def _add_scale(self, name: str) -> None:
        self._add(name, np.log(np.asarray(self._constants[name], np.float64)))

    def _step(self, node: onnx.NodeProto) -> Callable[[dict[str, Tensor]], Tensor] | None:
        if node.op_type == "QuantizeLinear":
            return self._activation(node)
        if node.op_type == "DequantizeLinear":
            if node.input[0] in self._constants:
                return None
            return lambda values, name=node.input[0]: values[name]  # type: ignore[misc]
        compute = compile_node(node, self._constants)
        reads = [self._read(node, position) for position in range(len(node.input))]
        return lambda values: compute(*[read(values) for read in reads if read is not None])

    def _read(
        self, node: onnx.NodeProto, position: int
    ) -> Callable[[dict[str, Tensor]], Tensor] | None:
        """Return how an input of a node is found; None for shapes and axes."""
        name = node.input[position]
        origin = self._made_by.get(name)
        if origin is not None and origin.op_type == "DequantizeLinear":
            quantized = origin.input[0]
            if quantized in self._constants:
                if position == 2:
                    return self._bias(node, origin)
                return self._weight(origin)
        if not name or name in self._constants:
            return None
        return lambda values: values[name]

    def _weight(self, origin: onnx.NodeProto) -> Callable[[dict[str, Tensor]], Tensor]:
        name = origin.input[0].removesuffix(_SUFFIX)
        axis = next((a.i for a in origin.attribute if a.name == "axis"), 0)
        scale = origin.input[1]
        value = self._floats[name]
        bits = next((rule.bits for rule in self._layers if fnmatch.fnmatch(name, rule.match)), 8)
        weight = Weight(name, scale, axis, bits, value.size)
        self.weights[name] = weight
        self._add(name, value)
        if scale not in self.parameters_of:
            first = np.atleast_1d(np.asarray(self._constants[scale], np.float64))
            if bits < 8:
                first = _best_steps(np.moveaxis(value, axis, 0), weight.largest)
            self._add(scale, np.log(first))
        if self._only is not None and name not in self._only:
            return lambda values: self._value(name)
        shape = [1] * value.ndim
        shape[axis] = -1

        def read(_: dict[str, Tensor]) -> Tensor:
            raw = self._value(name)
            step = self.scale(scale).reshape(shape)
            return _round(raw / step).clamp(-weight.largest, weight.largest) * step

        return read

    def _bias(
        self, node: onnx.NodeProto, origin: onnx.NodeProto
    ) -> Callable[[dict[str, Tensor]], Tensor]:
        name = origin.input[0]
        whole = self._constants[name].astype(np.float64)
        self._add(name, whole * np.asarray(self._constants[origin.input[1]], np.float64))
        x_scale = self._made_by[node.input[0]].input[1]
        w_scale = self._made_by[node.input[1]].input[1]

        def read(_: dict[str, Tensor]) -> Tensor:
            raw = self._value(name)
            if self._only is not None or not self._quantizes_activations:
                return raw
            step = (self.scale(x_scale) * self.scale(w_scale)).detach()
            return _round(raw / step) * step

        return read

    def _activation(self, node: onnx.NodeProto) -> Callable[[dict[str, Tensor]], Tensor]:
        name, scale = node.input[0], node.input[1]
        self._add_scale(scale)
        point = int(np.asarray(self._constants[node.input[2]]))
        self._zero_points[scale] = point

        def step(values: dict[str, Tensor]) -> Tensor:
            x = values[name]
            size = self.scale(scale)
            low, high = LOWEST - point, HIGHEST - point
            if not self._quantizes_activations:
                # The range stays: a Relu may live in it alone.
                return (x / size).clamp(low, high) * size
            return _round(x / size).clamp(low, high) * size

        return step

    def trained_source(self, source: onnx.ModelProto) -> onnx.ModelProto:
        """Return the float network with the trained weights, rounded, and the trained biases.

        Args:
            source: The float network that this one was made from.
        """
        model = onnx.ModelProto()
        model.CopyFrom(source)
        made = {name: self._rounded(weight) for name, weight in self.weights.items()}
        for node in self._model.graph.node:
            if node.op_type == "DequantizeLinear" and node.input[0].endswith(_SUFFIX):
                name = node.input[0]
                if name in self.parameters_of:
                    value = self._value(name).detach().numpy()
                    made[name.removesuffix(_SUFFIX)] = value
        for tensor in model.graph.initializer:
            if tensor.name in made:
                value = np.ascontiguousarray(made[tensor.name], np.float32)
                tensor.CopyFrom(numpy_helper.from_array(value, tensor.name))
        return model

    def float_weight(self, name: str) -> NDArray[np.float32]:
        """Return a weight as it was before any rounding."""
        return self._floats[name]

    def rounded_weight(self, name: str) -> Tensor:
        """Return a weight as it is multiplied."""
        return torch.from_numpy(self._rounded(self.weights[name]))

    def whole_weights(self, name: str) -> NDArray[np.int8]:
        """Return a weight in whole steps of its scale."""
        weight = self.weights[name]
        step = self._weight_step(weight)
        raw = self._value(name).detach()
        whole = torch.round(raw / step).clamp(-weight.largest, weight.largest)
        found: NDArray[np.int8] = whole.numpy().astype(np.int8)
        return found

    def _weight_step(self, weight: Weight) -> Tensor:
        shape = [1] * self._floats[weight.name].ndim
        shape[weight.axis] = -1
        return self.scale(weight.scale).detach().reshape(shape)

    def _rounded(self, weight: Weight) -> NDArray[np.float32]:
        step = self._weight_step(weight)
        values: NDArray[np.float32] = (
            torch.from_numpy(self.whole_weights(weight.name)) * step
        ).numpy()
        return values

    def overrides(self) -> Overrides:
        """Return the trained scales as the static quantizer takes them."""
        found: Overrides = {}
        for weight in self.weights.values():
            scales = self.scale(weight.scale).detach().numpy().reshape(-1)
            found[weight.name] = [
                {**fixed(float(scale), 0), "axis": weight.axis, "quant_type": QuantType.QInt8}
                for scale in scales
            ]
        for node in self._model.graph.node:
            if node.op_type == "QuantizeLinear" and self._owns(node):
                scale = float(self.scale(node.input[1]).detach())
                tensor = node.input[1].removesuffix("_scale")
                found[tensor] = [fixed(scale, self._zero_points[node.input[1]])]
        return found

    def _owns(self, node: onnx.NodeProto) -> bool:
        """Whether a scale was chosen for this tensor, not taken over from the one before it."""
        first = next(
            other
            for other in self._model.graph.node
            if other.op_type == "QuantizeLinear" and other.input[1] == node.input[1]
        )
        return bool(first.output[0] == node.output[0])


def _best_steps(channels: NDArray[np.float32], largest: int) -> NDArray[np.float64]:
    """Return the step of each channel with the smallest squared error.

    Args:
        channels: Weights (channel, ...).
        largest: Largest whole number.
    """
    flat = channels.reshape(len(channels), -1).astype(np.float64)
    peak = np.maximum(np.abs(flat).max(axis=1), 1e-12)
    steps = peak[:, None] / largest * np.linspace(0.35, 1.0, 40)
    whole = np.clip(np.rint(flat[:, None] / steps[..., None]), -largest, largest)
    errors = np.square(whole * steps[..., None] - flat[:, None]).sum(axis=2)
    best: NDArray[np.float64] = steps[np.arange(len(flat)), errors.argmin(axis=1)]
    return best


def _round(x: Tensor) -> Tensor:
    """Round half to even; the gradient passes as if nothing happened."""
    return x + (torch.round(x) - x).detach()
