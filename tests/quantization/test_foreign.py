"""ONNX files that no run made: what is taken, and one clear message for what is not."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from ecgexp.errors import ExportError
from ecgexp.quantization.bundle import bundle_from_onnx, read_bundle, read_golden
from ecgexp.quantization.reference import run_onnx


def dense(
    path: Path,
    *,
    x: tuple[Any, ...] = (1, 6),
    y: tuple[Any, ...] = (1, 3),
    kind: int = TensorProto.FLOAT,
    external: bool = False,
) -> Path:
    """Write a one-layer classifier."""
    weight = np.random.default_rng(0).standard_normal((6, 3)).astype(np.float32)
    nodes = [
        helper.make_node("Cast", ["in"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Flatten", ["float"], ["flat"]),
        helper.make_node("MatMul", ["flat", "w"], ["out"]),
    ]
    graph = helper.make_graph(
        nodes,
        "dense",
        [helper.make_tensor_value_info("in", kind, x)],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, y)],
        [numpy_helper.from_array(weight, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, path, save_as_external_data=external, size_threshold=0, location="w.bin")
    return path


def make(model: Path, folder: Path, golden: Path | None = None, **changes: int) -> Any:
    return bundle_from_onnx(model, golden, folder, **{"seed": 1, "n_golden": 4, **changes})


def test_takes_a_plain_classifier(tmp_path: Path) -> None:
    model = dense(tmp_path / "net.onnx")
    bundle = make(model, tmp_path / "out" / "bundle")
    assert bundle == read_bundle(tmp_path / "out" / "bundle")
    assert sorted(os.listdir(bundle.folder)) == ["bundle.json", "golden.npz", "model.onnx"]
    assert os.listdir(tmp_path / "out") == ["bundle"]
    assert (bundle.name, bundle.scheme) == ("net", "none")
    assert bundle.spec.labels == ("class_0", "class_1", "class_2")
    assert (bundle.spec.n_leads, bundle.spec.n_samples) == (1, 6)
    x, y = read_golden(bundle)
    assert x.shape == (4, 6)
    np.testing.assert_array_equal(y, run_onnx(model, x))


def test_draws_the_same_windows_for_the_same_seed(tmp_path: Path) -> None:
    model = dense(tmp_path / "net.onnx", x=(1, 2, 3))
    first, again, other = (
        read_golden(make(model, tmp_path / f"b{index}", seed=seed))[0]
        for index, seed in enumerate((1, 1, 2))
    )
    assert first.shape == (4, 2, 3)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert 0.5 < first.std() < 1.5


def test_takes_given_windows_of_any_number_type(tmp_path: Path) -> None:
    model = dense(tmp_path / "net.onnx")
    np.savez(tmp_path / "v.npz", x=np.arange(12).reshape(2, 6), y=np.zeros((9, 9)))
    x, _ = read_golden(make(model, tmp_path / "b", tmp_path / "v.npz"))
    np.testing.assert_array_equal(x, np.arange(12, dtype=np.float32).reshape(2, 6))


def test_takes_our_own_file_with_its_names(example: Any, tmp_path: Path) -> None:
    bundle = make(example.int8_onnx, tmp_path / "b")
    assert (bundle.spec, bundle.scheme) == (example.spec, "ptq_int8")


def test_takes_weights_in_a_file_of_their_own_along(tmp_path: Path) -> None:
    model = dense(tmp_path / "net.onnx", external=True)
    assert (tmp_path / "w.bin").is_file()
    bundle = make(model, tmp_path / "b")
    (tmp_path / "w.bin").unlink()
    assert run_onnx(bundle.onnx, np.zeros((1, 6), np.float32)).shape == (1, 3)


def test_never_reads_weights_from_outside_the_folder(tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    dense(inner / "net.onnx", external=True)
    os.rename(inner / "w.bin", tmp_path / "w.bin")
    model = onnx.load(inner / "net.onnx", load_external_data=False)
    for entry in model.graph.initializer[0].external_data:
        if entry.key == "location":
            entry.value = "../w.bin"
    onnx.save(model, inner / "net.onnx")
    with pytest.raises(ExportError, match=r"net\.onnx: no valid ONNX file"):
        make(inner / "net.onnx", tmp_path / "b")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"x": ("batch", 6)},
            r"in has the dynamic shape \(batch, 6\); .* -m onnxruntime\.tools"
            r"\.make_dynamic_shape_fixed --input_name in --input_shape 1,6 net\.onnx",
        ),
        ({"x": (1, None)}, r"in has the dynamic shape \(1, \?\)"),
        ({"y": ("n", 3)}, r"out has the dynamic shape \(n, 3\)"),
        ({"x": (2, 6), "y": (2, 3)}, r"in has shape \(2, 6\); export it as \(1, lead, sample\)"),
        ({"x": (1, 1, 1, 2, 3)}, r"in has shape \(1, 1, 1, 2, 3\); export it as"),
        ({"kind": TensorProto.INT8}, r"in is INT8; export it with float32 borders"),
    ],
    ids=["batch", "unknown", "output", "batch 2", "rank 5", "int8"],
)
def test_refuses_a_wrong_border(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    model = dense(tmp_path / "net.onnx", **changes)
    with pytest.raises(ExportError, match=message):
        make(model, tmp_path / "b")
    assert os.listdir(tmp_path) == ["net.onnx"]


def test_refuses_two_outputs_and_one_class(tmp_path: Path) -> None:
    model = onnx.load(dense(tmp_path / "net.onnx"))
    model.graph.output.append(helper.make_tensor_value_info("flat", TensorProto.FLOAT, [1, 6]))
    onnx.save(model, tmp_path / "two.onnx")
    with pytest.raises(ExportError, match=r"outputs \['out', 'flat'\], .* exactly one"):
        make(tmp_path / "two.onnx", tmp_path / "b")
    del model.graph.output[0]
    model.graph.output[0].type.tensor_type.shape.dim[1].dim_value = 1
    model.graph.node.append(helper.make_node("ReduceMax", ["flat"], ["top"], axes=[1]))
    model.graph.output[0].name = "top"
    onnx.save(model, tmp_path / "one.onnx")
    with pytest.raises(ExportError, match=r"top has shape \(1, 1\); .* at least 2 classes"):
        make(tmp_path / "one.onnx", tmp_path / "b")


@pytest.mark.parametrize(
    "content",
    [b"", b"not onnx at all", b"\x08\x07\x12", None],
    ids=["empty", "text", "cut", "truncated"],
)
def test_refuses_what_is_no_onnx(example: Any, tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(example.float_onnx.read_bytes()[:5000] if content is None else content)
    with pytest.raises(ExportError, match=r"onnx=.*net\.onnx: no valid ONNX file \(.+\); export"):
        make(path, tmp_path / "b")
    assert os.listdir(tmp_path) == ["net.onnx"]


def test_refuses_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    for path in (tmp_path / "none.onnx", tmp_path):
        with pytest.raises(ExportError, match=rf"onnx={path}: there is no such file"):
            make(path, tmp_path / "b")


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"z": np.zeros((2, 6))}, r"golden=.*v\.npz: no array x, only \['z'\]"),
        ({"x": np.zeros((2, 5))}, r"x is float64 \(2, 5\), .* \(at least one window, 6\)"),
        ({"x": np.zeros((0, 6))}, r"x is float64 \(0, 6\)"),
        ({"x": np.float32(1)}, r"x is float32 \(\)"),
        ({"x": np.full((2, 6), "a")}, r"x is <U1 \(2, 6\), the network takes numbers"),
        ({"x": np.array([[0.0] * 6, [np.nan] * 6])}, r"in 1 of 2 windows, first in window 1"),
        ({"x": np.full((1, 6), 1e300)}, r"NaN or infinity in 1 of 1 windows"),
    ],
    ids=["name", "shape", "empty", "scalar", "text", "nan", "overflow"],
)
def test_refuses_wrong_golden_windows(
    tmp_path: Path, arrays: dict[str, np.ndarray], message: str
) -> None:
    model = dense(tmp_path / "net.onnx")
    np.savez(tmp_path / "v.npz", **arrays)
    with pytest.raises(ExportError, match=message):
        make(model, tmp_path / "b", tmp_path / "v.npz")
    assert sorted(os.listdir(tmp_path)) == ["net.onnx", "v.npz"]


def test_refuses_golden_files_that_are_none(tmp_path: Path) -> None:
    model = dense(tmp_path / "net.onnx")
    np.save(tmp_path / "single.npy", np.zeros((2, 6)))
    (tmp_path / "cut.npz").write_bytes(b"PK\x03\x04rest")
    for name, message in (
        ("none.npz", r"none\.npz is missing: check the path"),
        ("single.npy", r"single\.npy is no readable \.npz"),
        ("cut.npz", r"cut\.npz is no readable \.npz"),
    ):
        with pytest.raises(ExportError, match=message):
            make(model, tmp_path / "b", tmp_path / name)


def test_refuses_a_network_that_answers_nan(tmp_path: Path) -> None:
    model = onnx.load(dense(tmp_path / "net.onnx"))
    weight = np.full((6, 3), np.nan, np.float32)
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(weight, "w"))
    onnx.save(model, tmp_path / "nan.onnx")
    with pytest.raises(ExportError, match="answers NaN or infinity to a golden window"):
        make(tmp_path / "nan.onnx", tmp_path / "b")
    assert not (tmp_path / "b").exists()
