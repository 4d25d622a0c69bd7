"""The exported C against ONNX Runtime, through a shared library."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.deploy import nets
from tests.deploy.export.conftest import Export, need, run_tool
from tests.deploy.zoo import ZOO

STRICT = ("-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Werror", "-ffp-contract=off")


class Model:
    """An exported library, loaded."""

    def __init__(self, folder: Path, compiler: str, *flags: str) -> None:
        shared = folder / f"{compiler}.so"
        sources = sorted((folder / "src").glob("*.c"))
        command = [compiler, *STRICT, *(flags or ("-O2",)), "-fPIC", "-shared", "-o", shared]
        run_tool(*command, "-I", folder / "include", *sources, "-lm")
        self.library = ctypes.CDLL(str(shared))
        header = (folder / "include" / "afib" / "model.h").read_text()
        self.defines = dict(
            line.split(maxsplit=2)[1:]
            for line in header.splitlines()
            if line.count(" ") >= 2 and line.startswith("#define AFIB_")
        )

    def size(self, name: str) -> int:
        return int(self.defines[f"AFIB_{name}"])

    def run_float(self, window: np.ndarray, fill: int = 0xA5, skew: int = 0) -> np.ndarray:
        memory = np.full(self.size("FLOAT_ARENA_BYTES") + 64, fill, np.uint8)
        start = memory.ctypes.data + (-memory.ctypes.data) % 16 + skew
        x = np.ascontiguousarray(window, np.float32).reshape(-1)
        y = np.zeros(self.size("OUTPUT_ELEMENTS"), np.float32)
        pointers = (x.ctypes.data, y.ctypes.data, start)
        status = self.library.afib_model_run_float(*map(ctypes.c_void_p, pointers))
        if status:
            raise ValueError(status)
        return y


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
@pytest.mark.parametrize("name", ["squeeze_excite", "conv_grouped_dilated"])
def test_int8_is_bit_equal_to_onnx_runtime(
    name: str, compiler: str, export: Export, onnx_of: Callable[..., Path]
) -> None:
    need(compiler)
    model = Model(export(name).folder, compiler)
    x = 3 * nets.windows(onnx_of(name), 16, seed=5)
    got = np.stack([model.run_float(window) for window in x])
    np.testing.assert_array_equal(got, nets.reference(onnx_of(name), x))


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(ZOO))
def test_every_operator_has_portable_c(
    name: str, export: Export, onnx_of: Callable[..., Path]
) -> None:
    x = nets.windows(onnx_of(name), 8, seed=5)
    for int8 in (True, False):
        model = Model(export(name, int8=int8, output=f"out{int8}").folder, "gcc", "-O1")
        expected = nets.reference(onnx_of(name, int8=int8), x)
        got = np.stack([model.run_float(window) for window in x])
        if int8 and name != "softmax":
            np.testing.assert_array_equal(got, expected)
        else:
            largest = np.abs(expected).max(axis=1, keepdims=True)
            assert (np.abs(got - expected) <= 1e-4 * largest).all()


def test_softmax_stays_in_float(export: Export, onnx_of: Callable[..., Path]) -> None:
    model = Model(export("softmax").folder, "gcc")
    x = nets.windows(onnx_of("softmax"), 8, seed=5)
    got = np.stack([model.run_float(window) for window in x])
    np.testing.assert_allclose(got, nets.reference(onnx_of("softmax"), x), atol=1e-6)
    assert model.defines["AFIB_OUTPUT_IS_PROBABILITY"] == "1"


def test_inputs_are_quantised_as_onnx_runtime_does(export: Export) -> None:
    model = Model(export().folder, "gcc")
    scale = np.float32(model.defines["AFIB_INPUT_SCALE"].rstrip("f"))
    zero_point = int(model.defines["AFIB_INPUT_ZERO_POINT"].strip("()"))
    n = model.size("INPUT_ELEMENTS")
    ties = (np.arange(-300, 300) + np.float32(0.5)) * scale
    near = np.concatenate(
        [ties, np.nextafter(ties, np.float32(np.inf)), np.nextafter(ties, np.float32(-np.inf))]
    )
    special = [np.nan, -np.nan, np.inf, -np.inf, 0.0, -0.0, 3e38, -3e38, 1e-45]
    x = np.concatenate([near, special, np.random.default_rng(0).normal(0, 200 * scale, 5000)])
    x = np.resize(x, -(-len(x) // n) * n).astype(np.float32)
    got = np.zeros(len(x), np.int8)
    for start in range(0, len(x), n):
        pointers = (x[start:].ctypes.data, got[start:].ctypes.data)
        model.library.afib_model_quantise_input(*map(ctypes.c_void_p, pointers))
    np.testing.assert_array_equal(got, _quantize_linear(x, scale, zero_point))


def _quantize_linear(x: np.ndarray, scale: np.float32, zero_point: int) -> np.ndarray:
    graph = helper.make_graph(
        [helper.make_node("QuantizeLinear", ["x", "s", "z"], ["y"])],
        "q",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [x.size])],
        [helper.make_tensor_value_info("y", TensorProto.INT8, [x.size])],
        [
            numpy_helper.from_array(np.float32(scale), "s"),
            numpy_helper.from_array(np.int8(zero_point), "z"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    (y,) = session.run(None, {"x": x})
    return np.asarray(y)


def test_bad_arguments_are_answered(export: Export) -> None:
    model = Model(export().folder, "gcc")
    window = np.zeros(40, np.float32)
    with pytest.raises(ValueError, match="-2"):
        model.run_float(window, skew=4)
    assert ctypes.c_int32(model.library.afib_model_run(None, None, None)).value == -1
    assert ctypes.c_int32(model.library.afib_model_run_float(None, None, None)).value == -1


def test_calls_may_run_at_once(export: Export, onnx_of: Callable[..., Path]) -> None:
    """ctypes lets go of the interpreter's lock, so these threads are inside the C together."""
    model = Model(export("conv_depthwise").folder, "gcc")
    x = nets.windows(onnx_of("conv_depthwise"), 400, seed=6)
    expected = nets.reference(onnx_of("conv_depthwise"), x)
    with ThreadPoolExecutor(4) as threads:
        got = np.stack(list(threads.map(model.run_float, x)))
    np.testing.assert_array_equal(got, expected)


def test_inexact_arithmetic_is_refused_by_the_compiler(export: Export, tmp_path: Path) -> None:
    folder = export().folder
    command = ("gcc", "-c", "-ffast-math", "-I", folder / "include", folder / "src" / "kernels.c")
    with pytest.raises(AssertionError, match="compile it without -ffast-math"):
        run_tool(*command, cwd=tmp_path)


def test_nothing_is_undefined_in_the_language(
    export: Export, onnx_of: Callable[..., Path], tmp_path: Path
) -> None:
    """Sanitizers end the golden test at the first overflow, bad shift or stray access."""
    folder = export("conv_strided").folder
    program = tmp_path / "golden"
    sources = [*(folder / "src").glob("*.c"), *(folder / "test").glob("*.c")]
    checks = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-g", "-O1")
    run_tool("gcc", *STRICT, *checks, "-I", folder / "include", "-o", program, *sources, "-lm")
    assert "4 of 4 windows equal" in run_tool(program)


def test_header_is_c_plus_plus_too(export: Export, tmp_path: Path) -> None:
    need("g++")
    folder = export().folder
    source = tmp_path / "app.cpp"
    source.write_text(
        '#include "afib/model.h"\n'
        "AFIB_MODEL_ARENA(arena, AFIB_FLOAT_ARENA_BYTES);\n"
        "static float out[AFIB_OUTPUT_ELEMENTS];\n"
        "int main() { return afib_model_run_float(nullptr, out, arena) + AFIB_INPUT_SCALE > 9; }\n"
    )
    run_tool(
        "gcc",
        "-c",
        "-std=c11",
        "-I",
        folder / "include",
        *(folder / "src").glob("*.c"),
        cwd=tmp_path,
    )
    flags = ("-std=c++11", "-Wall", "-Wextra", "-Wpedantic", "-Werror")
    run_tool(
        "g++", *flags, "-I", folder / "include", source, *tmp_path.glob("*.o"), "-lm", cwd=tmp_path
    )
