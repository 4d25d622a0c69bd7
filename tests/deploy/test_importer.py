from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from ecgexp.deploy.importer import SUPPORTED_ONNX, import_onnx
from ecgexp.errors import BuildError
from tests.deploy import nets
from tests.deploy.nets import Net


def _graph(path: Path, x_shape: list[object], y_shape: list[object], **extra: object) -> Path:
    inputs = [helper.make_tensor_value_info("signal", TensorProto.FLOAT, x_shape)]
    inputs += [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4])
        for name in extra.get("more_inputs", ())  # type: ignore[attr-defined]
    ]
    outputs = [helper.make_tensor_value_info("scores", TensorProto.FLOAT, y_shape)]
    outputs += [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4])
        for name in extra.get("more_outputs", ())  # type: ignore[attr-defined]
    ]
    nodes = [helper.make_node("Relu", ["signal"], [o.name], f"relu_{o.name}") for o in outputs]
    graph = helper.make_graph(nodes, "g", inputs, outputs)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.save(model, path)
    return path


def test_dynamic_shape_is_refused_with_the_tensors_name(tmp_path: Path) -> None:
    path = _graph(tmp_path / "n.onnx", ["batch", 4], ["batch", 4])
    with pytest.raises(BuildError, match=r"input 'signal' has the dynamic shape \['batch', 4\]"):
        import_onnx(path)


def test_batch_above_one_is_refused(tmp_path: Path) -> None:
    path = _graph(tmp_path / "n.onnx", [2, 4], [2, 4])
    with pytest.raises(BuildError, match=r"input 'signal' has shape \(2, 4\), not \(1, lead, samp"):
        import_onnx(path)


def test_output_that_is_no_class_vector_is_refused(tmp_path: Path) -> None:
    path = _graph(tmp_path / "n.onnx", [1, 2, 4], [1, 2, 4])
    with pytest.raises(
        BuildError, match=r"output 'scores' has shape \(1, 2, 4\), not \(1, class\)"
    ):
        import_onnx(path)


def test_second_input_is_refused(tmp_path: Path) -> None:
    path = _graph(tmp_path / "n.onnx", [1, 4], [1, 4], more_inputs=("age",))
    with pytest.raises(BuildError, match=r"exactly one input, found 2: \['signal', 'age'\]"):
        import_onnx(path)


def test_second_output_is_refused(tmp_path: Path) -> None:
    path = _graph(tmp_path / "n.onnx", [1, 4], [1, 4], more_outputs=("features",))
    with pytest.raises(BuildError, match=r"exactly one output, found 2: \['scores', 'features'\]"):
        import_onnx(path)


def test_unsupported_operator_is_named_with_the_supported_ones(tmp_path: Path) -> None:
    net = Net()
    x = net.op("Softplus", net.op("InstanceNormalization", "x", net.weight(1), net.weight(1)))
    flat = net.op("ReduceMean", x, net.const([2], np.int64), keepdims=0)
    path = net.save(net.dense(flat, 1, 3), 3, tmp_path / "n.onnx")
    with pytest.raises(BuildError) as caught:
        import_onnx(path)
    message = str(caught.value)
    assert "no kernel for ONNX InstanceNormalization 'instancenormalization_0'" in message
    assert "ONNX Softplus 'softplus_1'" in message
    assert message.endswith(f"supported: {', '.join(SUPPORTED_ONNX)}")


def test_file_that_is_no_onnx_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "n.onnx"
    path.write_bytes(b"\x00\xff not a model")
    with pytest.raises(BuildError, match=re.escape(f"{path}: no readable ONNX model")):
        import_onnx(path)


def test_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match="no readable ONNX model"):
        import_onnx(tmp_path / "absent.onnx")


def test_reflecting_pad_is_refused(tmp_path: Path) -> None:
    net = Net()
    x = net.op("Pad", "x", net.const([0, 0, 2, 0, 0, 2], np.int64), mode="reflect")
    flat = net.op("ReduceMean", x, net.const([2], np.int64), keepdims=0)
    path = net.save(net.dense(flat, 1, 3), 3, tmp_path / "n.onnx")
    with pytest.raises(BuildError, match=r"ONNX Pad 'pad_0': mode 'reflect' has no kernel"):
        import_onnx(path)


def test_operators_keep_the_names_of_their_onnx_nodes(tmp_path: Path) -> None:
    net = Net()
    x = net.conv(net.conv("x", 1, 4, 3), 4, 4, 3)
    flat = net.op("ReduceMean", x, net.const([2], np.int64), keepdims=0)
    path = net.save(net.dense(flat, 4, 3), 3, tmp_path / "n.onnx")
    origins = [op.origin for op in import_onnx(path).ops if op.kind == "nn.conv1d"]
    assert origins == ["ONNX Conv 'conv_0'", "ONNX Conv 'conv_1'"]


def test_importing_prints_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    net = Net()
    flat = net.op("Flatten", net.conv("x", 1, 4, 3))
    path = net.save(net.dense(flat, 4 * 38, 3), 3, tmp_path / "n.onnx")
    nets.compile_host(path, tmp_path)
    assert capfd.readouterr() == ("", "")


def test_padding_computed_by_the_graph_is_folded(tmp_path: Path) -> None:
    net = Net()
    rank = net.op("Shape", net.op("Shape", "x"))
    missing = net.op("Sub", net.op("Mul", rank, net.const([2], np.int64)), net.const([2], np.int64))
    zero = numpy_helper.from_array(np.zeros(1, np.int64))
    zeros = net.op("ConstantOfShape", missing, value=zero)
    pads = net.op("Concat", zeros, net.const([3, 4], np.int64), axis=0)
    pads = net.op("Transpose", net.op("Reshape", pads, net.const([-1, 2], np.int64)), perm=[1, 0])
    pads = net.op("Cast", net.op("Reshape", pads, net.const([-1], np.int64)), to=7)
    x = net.conv(net.op("Pad", "x", pads), 1, 4, 3)
    flat = net.op("ReduceMean", x, net.const([2], np.int64), keepdims=0)
    path = net.save(net.dense(flat, 4, 3), 3, tmp_path / "n.onnx")
    compiled = nets.compile_host(path, tmp_path)
    kinds = [step.kernel.name.split("_")[0] for step in compiled.program.steps]
    assert kinds == ["conv1d", "global", "dense"]
    x_windows = nets.windows(path, 5)
    computed = nets.run_host(compiled, x_windows, tmp_path)
    np.testing.assert_allclose(computed, nets.reference(path, x_windows), rtol=1e-4, atol=1e-6)


def test_output_size_that_an_exporter_left_open_is_inferred(tmp_path: Path) -> None:
    net = Net()
    flat = net.op("ReduceMean", net.conv("x", 1, 4, 3), net.const([2], np.int64), keepdims=0)
    path = net.save(net.dense(flat, 4, 3), 3, tmp_path / "n.onnx")
    model = onnx.load(path)
    model.graph.output[0].type.tensor_type.shape.dim[0].dim_param = "batch"
    onnx.save(model, path)
    assert import_onnx(path).output_shape == (1, 3)
