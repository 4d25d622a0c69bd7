from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_static,
)

from ecgexp.errors import BuildError
from tests.deploy import nets
from tests.deploy.nets import Net
from tests.deploy.zoo import ZOO


class Reader(CalibrationDataReader):
    """Hand windows to ONNX Runtime's quantizer."""

    def __init__(self, x: np.ndarray) -> None:
        self.rows = iter([{"x": window[None]} for window in x])

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self.rows, None)


def _quantize(path: Path, out: Path, **options: object) -> Path:
    arguments = {
        "quant_format": QuantFormat.QDQ,
        "per_channel": True,
        "activation_type": QuantType.QInt8,
        "weight_type": QuantType.QInt8,
        "extra_options": {"WeightSymmetric": True},
        **options,
    }
    quantize_static(path, out, Reader(nets.windows(path, 32, seed=2)), **arguments)
    return out


def _compare(onnx_path: Path, folder: Path) -> float:
    compiled = nets.compile_host(onnx_path, folder)
    x = nets.windows(onnx_path, 60)
    equal = nets.run_host(compiled, x, folder) == nets.reference(onnx_path, x)
    return float(np.mean(equal))


def test_uint8_activations_are_int8_shifted_by_128(tmp_path: Path) -> None:
    path = ZOO["residual"](tmp_path / "float.onnx")
    onnx_path = _quantize(path, tmp_path / "int8.onnx", activation_type=QuantType.QUInt8)
    assert _compare(onnx_path, tmp_path) > 0.98


def test_one_scale_for_all_output_channels(tmp_path: Path) -> None:
    path = ZOO["conv_strided"](tmp_path / "float.onnx")
    assert _compare(_quantize(path, tmp_path / "q.onnx", per_channel=False), tmp_path) > 0.98


def test_symmetric_activations_keep_their_relu_as_a_table(tmp_path: Path) -> None:
    path = ZOO["relu"](tmp_path / "float.onnx")
    options = {"extra_options": {"WeightSymmetric": True, "ActivationSymmetric": True}}
    assert _compare(_quantize(path, tmp_path / "q.onnx", **options), tmp_path) > 0.98


def test_float_operator_in_an_int8_network_is_refused_by_name(tmp_path: Path) -> None:
    path = ZOO["residual"](tmp_path / "float.onnx")
    onnx_path = _quantize(path, tmp_path / "int8.onnx", nodes_to_exclude=["conv_2"])
    with pytest.raises(BuildError) as caught:
        nets.compile_host(onnx_path, tmp_path)
    message = str(caught.value)
    assert "1 operators of the int8 network would run in float32" in message
    assert "ONNX Conv 'conv_2'" in message
    assert "deploy.allow_float_ops=1 (now 0)" in message
    assert not (tmp_path / "library").exists()


def test_allowed_float_operator_runs_and_is_counted(tmp_path: Path) -> None:
    path = ZOO["residual"](tmp_path / "float.onnx")
    onnx_path = _quantize(path, tmp_path / "int8.onnx", nodes_to_exclude=["conv_2"])
    compiled = nets.compile_host(onnx_path, tmp_path, allow_float_ops=1)
    assert len(compiled.program.float_ops) == 1
    x = nets.windows(onnx_path, 40)
    computed = nets.run_host(compiled, x, tmp_path)
    expected = nets.reference(onnx_path, x)
    assert np.max(np.abs(computed - expected)) < 1.5 * compiled.library.output_scale


def test_input_is_quantized_by_the_caller_as_onnx_runtime_does(tmp_path: Path) -> None:
    path = ZOO["residual"](tmp_path / "float.onnx")
    onnx_path = _quantize(path, tmp_path / "int8.onnx")
    library = nets.compile_host(onnx_path, tmp_path).library
    model = onnx.load(onnx_path)
    first = next(n for n in model.graph.node if n.op_type == "QuantizeLinear")
    alone = helper.make_model(
        helper.make_graph(
            [first],
            "q",
            list(model.graph.input),
            [helper.make_tensor_value_info(first.output[0], onnx.TensorProto.INT8, [1, 1, 40])],
            [t for t in model.graph.initializer if t.name in first.input],
        ),
        opset_imports=model.opset_import,
        ir_version=9,
    )
    import onnxruntime

    session = onnxruntime.InferenceSession(alone.SerializeToString())
    # Far outside the range, on ties, and ordinary.
    ties = (np.arange(-20, 20) + 0.5) * library.input_scale
    x = np.stack([np.full(40, 1e9), np.full(40, -1e9), ties, np.linspace(-3, 3, 40)])
    x = x.astype(np.float32)[:, None, :]
    expected = np.stack([session.run(None, {"x": window[None]})[0].reshape(-1) for window in x])
    np.testing.assert_array_equal(library.quantise_inputs(x), expected)


def test_dense_over_a_slice_of_channels_is_refused(tmp_path: Path) -> None:
    net = Net()
    x = net.conv("x", 1, 8, 3)
    gate = net.op("ReduceMean", x, net.const([1], np.int64), keepdims=1)
    flat = net.op("Flatten", net.op("Mul", x, gate))
    path = net.save(net.dense(flat, 8 * 38, 3), 3, tmp_path / "n.onnx")
    with pytest.raises(BuildError, match=r"operator mean \(ONNX ReduceMean.*only time"):
        nets.compile_host(path, tmp_path)


def test_weight_scale_per_input_channel_is_refused(tmp_path: Path) -> None:
    path = ZOO["residual"](tmp_path / "float.onnx")
    model = onnx.load(_quantize(path, tmp_path / "int8.onnx"))
    weights = {t.name: t for t in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type != "DequantizeLinear" or node.input[0] not in weights:
            continue
        codes = numpy_helper.to_array(weights[node.input[0]])
        if codes.ndim == 3 and codes.shape[:2] == (8, 8):
            node.attribute[0].i = 1
            break
    onnx.save(model, tmp_path / "wrong.onnx")
    with pytest.raises(BuildError, match="one scale per tensor or per output channel"):
        nets.compile_host(tmp_path / "wrong.onnx", tmp_path)


def test_network_that_does_nothing_is_refused(tmp_path: Path) -> None:
    net = Net()
    path = net.save(net.op("Identity", "x"), 20, tmp_path / "n.onnx", input_shape=[1, 20])
    with pytest.raises(BuildError, match="computes nothing"):
        nets.compile_host(path, tmp_path)


def test_softmax_with_a_quantized_answer(tmp_path: Path) -> None:
    onnx_path = _quantize(ZOO["softmax"](tmp_path / "float.onnx"), tmp_path / "int8.onnx")
    program = nets.compile_host(onnx_path, tmp_path).program
    assert program.output_is_probability
    assert program.output.dtype == "int8"
    assert program.float_ops == ()
    assert _compare(onnx_path, tmp_path) > 0.98
