from __future__ import annotations

import ctypes
import json
import subprocess
from pathlib import Path

import numpy as np
import pytest

from ecgexp.deploy import emit
from ecgexp.deploy.emit import c_string
from ecgexp.deploy.object_file import code_bytes
from ecgexp.errors import BuildError
from tests.deploy import nets
from tests.deploy.nets import Net
from tests.deploy.zoo import ZOO


@pytest.mark.parametrize(
    "text", ["N", 'quo"te', "back\\slash", "why??/", "AV-Block 2°", "a\nb", ""]
)
def test_c_string_survives_the_compiler(text: str, tmp_path: Path) -> None:
    source = tmp_path / "s.c"
    source.write_text(f"const char *const text = {c_string(text)};\n")
    shared = tmp_path / "s.so"
    command = ["gcc", "-std=c11", "-Wall", "-Werror", "-shared", "-fPIC", "-o"]
    subprocess.run([*command, str(shared), str(source)], check=True)
    read = ctypes.c_char_p.in_dll(ctypes.CDLL(str(shared)), "text").value
    assert read == text.encode()


def test_library_is_whole_and_describes_itself(tmp_path: Path) -> None:
    onnx = nets.quantize(ZOO["squeeze_excite"](tmp_path / "f.onnx"), tmp_path / "q.onnx")
    compiled = nets.compile_host(onnx, tmp_path)
    library = compiled.library
    names = {path.name for path in library.folder.iterdir()}
    assert names == {"model.h", "model.c", "kernels.o", "metadata.json"}
    metadata = json.loads((library.folder / "metadata.json").read_text())
    assert metadata["macs"] == library.macs == sum(s["macs"] for s in metadata["steps"])
    assert metadata["arena_lower_bound_bytes"] <= metadata["arena_bytes"] == library.arena_bytes
    assert metadata["input"]["dtype"] == "int8"
    header = library.header.read_text()
    assert "#define ECGEXP_INPUT_ELEMENTS 40\n" in header
    assert "#define ECGEXP_OUTPUT_IS_FLOAT 0\n" in header
    assert '#define ECGEXP_MODEL_NAME "net"\n' in header
    scale = next(line for line in header.splitlines() if "OUTPUT_SCALE" in line).split()[-1]
    assert float.fromhex(scale.rstrip("f")) == np.float32(library.output_scale)


def test_library_is_the_same_every_time(tmp_path: Path) -> None:
    onnx = ZOO["residual"](tmp_path / "f.onnx")
    first, second = (
        nets.compile_host(onnx, tmp_path / name).library.folder for name in ("one", "two")
    )
    for name in ("model.h", "model.c", "metadata.json", "kernels.o"):
        assert (first / name).read_bytes() == (second / name).read_bytes(), name


def test_equal_functions_and_equal_constants_are_written_once(tmp_path: Path) -> None:
    net = Net()
    x = net.conv("x", 1, 8, 3, pads=[1, 1])
    weight, bias = net.weight(8, 8, 3), net.weight(8)
    for _ in range(3):
        x = net.op("Relu", net.op("Conv", x, weight, bias, kernel_shape=[3], pads=[1, 1]))
    flat = net.op("ReduceMean", x, net.const([2], np.int64), keepdims=0)
    path = net.save(net.dense(flat, 8, 3), 3, tmp_path / "n.onnx")
    compiled = nets.compile_host(path, tmp_path)
    assert len(compiled.program.steps) == 6
    assert len({step.symbol for step in compiled.program.steps}) == 4
    source = compiled.library.sources[0].read_text()
    assert source.count("static const float") == 6
    x_windows = nets.windows(path, 5)
    np.testing.assert_allclose(
        nets.run_host(compiled, x_windows, tmp_path), nets.reference(path, x_windows), rtol=1e-4
    )


def test_weights_lie_in_the_section_that_targets_place(tmp_path: Path) -> None:
    compiled = nets.compile_host(ZOO["residual"](tmp_path / "f.onnx"), tmp_path)
    listing = tmp_path / "model.o"
    subprocess.run(["gcc", "-c", "-o", str(listing), str(compiled.library.sources[0])], check=True)
    sections = subprocess.run(
        ["objdump", "-h", str(listing)], check=True, capture_output=True, text=True
    ).stdout
    (line,) = [line for line in sections.splitlines() if ".ecgexp.weights" in line]
    assert int(line.split()[2], 16) >= compiled.library.weight_bytes


def test_code_bytes_agree_with_the_size_tool(tmp_path: Path) -> None:
    library = nets.compile_host(ZOO["residual"](tmp_path / "f.onnx"), tmp_path).library
    listing = subprocess.run(
        ["size", str(library.objects[0])], check=True, capture_output=True, text=True
    ).stdout
    text, data, *_ = (int(n) for n in listing.splitlines()[1].split()[:3])
    assert code_bytes(library.objects[0]) == text + data


def test_file_that_is_no_object_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "kernels.o"
    path.write_bytes(b"not elf")
    with pytest.raises(BuildError, match="no little-endian ELF object"):
        code_bytes(path)


def test_windows_of_another_size_are_refused(tmp_path: Path) -> None:
    library = nets.compile_host(ZOO["residual"](tmp_path / "f.onnx"), tmp_path).library
    with pytest.raises(BuildError, match=r"shape \(1, 39\) do not fit the network's 40 inputs"):
        library.quantise_inputs(np.zeros((2, 1, 39), np.float32))


def test_large_constants_are_packed_and_still_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(emit, "PACKED_BYTES", 50)
    path = ZOO["conv_strided"](tmp_path / "f.onnx")
    for onnx in (path, nets.quantize(path, tmp_path / "q.onnx")):
        compiled = nets.compile_host(onnx, tmp_path)
        assert "uint64_t words[" in compiled.library.sources[0].read_text()
        x = nets.windows(onnx, 8)
        computed, expected = nets.run_host(compiled, x, tmp_path), nets.reference(onnx, x)
        np.testing.assert_allclose(computed, expected, atol=1e-5 * np.max(np.abs(expected)))


def test_constant_that_is_not_finite_is_refused(tmp_path: Path) -> None:
    net = Net()
    flat = net.op("ReduceMean", net.conv("x", 1, 4, 3), net.const([2], np.int64), keepdims=0)
    weight = np.ones((3, 4))
    weight[1, 2] = np.inf
    y = net.op("Gemm", flat, net.const(weight), net.weight(3), transB=1)
    path = net.save(y, 3, tmp_path / "n.onnx")
    with pytest.raises(BuildError, match="not finite: repair its weights"):
        nets.compile_host(path, tmp_path)
    assert not (tmp_path / "library.part").exists()
