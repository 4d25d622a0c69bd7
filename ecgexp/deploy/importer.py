"""Read an ONNX classifier through TVM's Relax importer into a flat list of operators."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import tvm
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from numpy.typing import NDArray
from tvm import relax
from tvm.relax.frontend.onnx import from_onnx

from ecgexp.deploy import fold
from ecgexp.deploy.constants import fold_constants
from ecgexp.deploy.graph import Network, Op, Ref
from ecgexp.deploy.normalise import describe, normalise
from ecgexp.errors import BuildError

log = logging.getLogger(__name__)

_RELAX_OF_ONNX: dict[str, tuple[str, ...]] = {
    "Add": ("add",),
    "AveragePool": ("nn.avg_pool1d", "nn.avg_pool2d"),
    "BatchNormalization": (),
    "Clip": ("maximum", "minimum", "clip"),
    "Concat": ("concat",),
    "Constant": (),
    "Conv": ("nn.conv1d", "nn.conv2d"),
    "DequantizeLinear": ("dequantize",),
    "Div": ("divide",),
    "Dropout": (),
    "Erf": ("erf",),
    "Flatten": ("reshape",),
    "Gelu": ("nn.gelu", "nn.gelu_tanh"),
    "Gemm": ("matmul",),
    "GlobalAveragePool": ("mean",),
    "GlobalMaxPool": ("max",),
    "HardSigmoid": ("clip",),
    "HardSwish": (),
    "Identity": (),
    "LeakyRelu": ("nn.leakyrelu",),
    "MatMul": ("matmul",),
    "MaxPool": ("nn.max_pool1d", "nn.max_pool2d"),
    "Mul": ("multiply",),
    "Pad": (),
    "QuantizeLinear": ("quantize",),
    "ReduceMax": ("max",),
    "ReduceMean": ("mean",),
    "Relu": ("nn.relu",),
    "Reshape": ("reshape",),
    "Sigmoid": ("sigmoid",),
    "Softmax": ("nn.softmax",),
    "Squeeze": ("squeeze",),
    "Sub": ("subtract",),
    "Tanh": ("tanh",),
    "Transpose": ("permute_dims",),
    "Unsqueeze": ("expand_dims",),
}

SUPPORTED_ONNX = tuple(sorted(_RELAX_OF_ONNX))

_ATTRS: dict[str, tuple[str, ...]] = {
    "quantize": ("out_dtype", "axis"),
    "dequantize": ("out_dtype", "axis"),
    "nn.conv1d": ("strides", "padding", "dilation", "groups"),
    "nn.conv2d": ("strides", "padding", "dilation", "groups"),
    **dict.fromkeys(
        ("nn.max_pool1d", "nn.max_pool2d", "nn.avg_pool1d", "nn.avg_pool2d"),
        ("pool_size", "strides", "dilation", "padding", "ceil_mode", "count_include_pad"),
    ),
    "mean": ("axis", "keepdims"),
    "max": ("axis", "keepdims"),
    "permute_dims": ("axes",),
    "concat": ("axis",),
    "nn.softmax": ("axis",),
    "nn.leakyrelu": ("alpha",),
}


def import_onnx(path: Path) -> Network:
    """Read an ONNX classifier.

    Args:
        path: ONNX file with one float32 input (1, lead, sample), (1, channel, row, column) or
            (1, feature), and one output (1, class).

    Raises:
        BuildError: The file is no ONNX model, a shape is dynamic, there is more than one input or
            output, or an operator has no kernel.
    """
    try:
        model = onnx.load(path)
    except (OSError, DecodeError) as error:
        raise BuildError(f"{path}: no readable ONNX model ({error})") from error
    model = _settled(model, path)
    _check_interface(model, path)
    _check_operators(model, path)
    module = _to_relax(normalise(model), path)
    return _read_function(module["main"], model)


def _settled(model: onnx.ModelProto, path: Path) -> onnx.ModelProto:
    """Compute what is constant, and the sizes of outputs that exporters declare with names."""
    for value in model.graph.output:
        tensor = value.type.tensor_type
        if any(d.HasField("dim_param") for d in tensor.shape.dim):
            tensor.ClearField("shape")
    try:
        return fold_constants(model)
    except onnx.shape_inference.InferenceError as error:
        raise BuildError(f"{path}: the network's shapes contradict each other: {error}") from error


def _check_interface(model: onnx.ModelProto, path: Path) -> None:
    initializers = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in initializers]
    for kind, values in (("input", inputs), ("output", list(model.graph.output))):
        names = [value.name for value in values]
        if len(values) != 1:
            raise BuildError(f"{path}: needs exactly one {kind}, found {len(values)}: {names}")
        tensor = values[0].type.tensor_type
        shape = [d.dim_value if d.HasField("dim_value") else d.dim_param for d in tensor.shape.dim]
        if not shape or not all(isinstance(d, int) and d > 0 for d in shape):
            raise BuildError(
                f"{path}: {kind} {names[0]!r} has the dynamic shape {shape}; export it with fixed "
                "sizes and batch 1"
            )
        if tensor.elem_type != onnx.TensorProto.FLOAT:
            raise BuildError(f"{path}: {kind} {names[0]!r} must be float32")
        ranks = (2, 3, 4) if kind == "input" else (2,)
        if shape[0] != 1 or len(shape) not in ranks:
            wanted = (
                "(1, lead, sample) or (1, channel, row, column)"
                if kind == "input"
                else "(1, class)"
            )
            raise BuildError(f"{path}: {kind} {names[0]!r} has shape {tuple(shape)}, not {wanted}")


def _check_operators(model: onnx.ModelProto, path: Path) -> None:
    missing = [node for node in model.graph.node if node.op_type not in _RELAX_OF_ONNX]
    if missing:
        named = ", ".join(describe(node) for node in missing[:5])
        more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
        raise BuildError(
            f"{path}: no kernel for {named}{more}; supported: {', '.join(SUPPORTED_ONNX)}"
        )


def _to_relax(model: onnx.ModelProto, path: Path) -> tvm.IRModule:
    chatter = io.StringIO()
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(chatter):
            warnings.simplefilter("ignore")
            return from_onnx(model, keep_params_in_input=False)
    except (ValueError, NotImplementedError, AssertionError, tvm.error.TVMError) as error:
        first = str(error).strip().splitlines()[-1:] or [type(error).__name__]
        raise BuildError(f"{path}: TVM cannot import the network: {first[0]}") from error


def _read_function(function: relax.Function, model: onnx.ModelProto) -> Network:
    constants: dict[str, NDArray[Any]] = {}
    origins = _Origins(model)
    ops: list[Op] = []
    for name, value in _bindings(function):
        op = _read_binding(name, value, constants, origins)
        folded = fold.evaluate(op)
        if folded is None:
            ops.append(op)
        else:
            constants[name] = folded
    parameter = function.params[0]
    result = function.body.body
    if result.name in constants:
        raise BuildError("the network's output does not depend on its input")
    return Network(
        input_name=parameter.name,
        input_shape=_shape(parameter),
        output=Ref(name=result.name),
        output_shape=_shape(result),
        ops=tuple(ops),
    )


def _bindings(function: relax.Function) -> Iterator[tuple[str, Any]]:
    for block in function.body.blocks:
        for binding in block.bindings:
            yield binding.var.name, binding.value


class _Origins:
    """Find the ONNX node behind the k-th Relax operator of a kind."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self._waiting: dict[str, list[str]] = {}
        for node in model.graph.node:
            for kind in _RELAX_OF_ONNX[node.op_type]:
                self._waiting.setdefault(kind, []).append(describe(node))

    def next(self, kind: str) -> str:
        """Return the description of the next node of that kind, or an empty string."""
        queue = self._waiting.get(kind)
        return queue.pop(0) if queue else ""


def _read_binding(
    name: str, value: Any, constants: dict[str, NDArray[Any]], origins: _Origins
) -> Op:
    kind, operands, attrs = _read_call(value)
    inputs = tuple(_operand(o, constants) for o in operands)
    return Op(
        kind=kind,
        name=name,
        inputs=inputs,
        attrs=attrs,
        shape=_shape(value),
        dtype=str(value.ty.dtype),
        origin=origins.next(kind),
    )


def _read_call(value: Any) -> tuple[str, list[Any], dict[str, Any]]:
    if isinstance(value, tvm.ir.Var | tvm.ir.GenericConst):
        return "reshape", [value], {}
    operator = getattr(value, "op", None)
    if not isinstance(operator, tvm.ir.Op):
        raise BuildError(f"TVM imported a {type(value).__name__} that has no kernel: {value}")
    kind = operator.name.removeprefix("relax.")
    operands = list(value.args)
    if kind == "call_tir":
        # Clip is the only supported ONNX operator that the importer turns into functions.
        kind, operands = operands[0].name_hint.rstrip("0123456789_"), list(operands[1])
    elif kind == "concat":
        operands = list(operands[0])
    if kind == "clip":
        low, high = (float(bound.value) for bound in operands[1:])
        return kind, operands[:1], {"min": low, "max": high}
    attrs = {key: _plain(getattr(value.attrs, key)) for key in _ATTRS.get(kind, ())}
    return kind, [o for o in operands if not isinstance(o, relax.ShapeExpr)], attrs


def _operand(value: Any, constants: dict[str, NDArray[Any]]) -> Ref | NDArray[Any]:
    if isinstance(value, tvm.ir.GenericConst):
        return np.asarray(value.value.numpy())
    return constants[value.name] if value.name in constants else Ref(name=value.name)


def _shape(value: Any) -> tuple[int, ...]:
    return tuple(int(d) for d in value.ty.shape)


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if hasattr(value, "value"):
        return value.value
    if hasattr(value, "__iter__"):
        return tuple(_plain(v) for v in value)
    return str(value)
