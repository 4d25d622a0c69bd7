"""Small ONNX networks, their quantization, and the host library they compile to."""

from __future__ import annotations

import ctypes
import os
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import yaml
from onnx import TensorProto, helper, numpy_helper

from ecgexp.deploy.compiler import Compiled, compile_network
from ecgexp.quantization.ptq import StaticInt8
from ecgexp.quantization.reference import run_onnx
from ecgexp.resources import resource_folder
from ecgexp.target import Target

HOST = Target(
    name="host",
    cpu="native",
    isa="generic",
    triple="native",
    float_abi="native",
    clock_hz=None,
    port="host",
    runner="host",
    machine=None,
    executable=None,
    fidelity="host-wall-time",
    stack_bytes=0,
    memory={},
    placement={},
)


@dataclass
class Net:
    """Collect nodes and constants of a network with input `x` (1, lead, sample)."""

    leads: int = 1
    samples: int = 40
    opset: int = 18
    seed: int = 0
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: list[onnx.TensorProto] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.random = np.random.default_rng(self.seed)

    def const(self, value: Any, dtype: Any = np.float32) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    def weight(self, *shape: int) -> str:
        fan_in = max(1, int(np.prod(shape[1:])))
        return self.const(self.random.normal(size=shape) / np.sqrt(fan_in))

    def op(self, kind: str, *inputs: str, **attrs: Any) -> str:
        output = f"t{len(self.nodes)}"
        name = f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [output], name, **attrs))
        return output

    def conv(self, x: str, c_in: int, c_out: int, kernel: int, **attrs: Any) -> str:
        groups = attrs.get("group", 1)
        weight, bias = self.weight(c_out, c_in // groups, kernel), self.weight(c_out)
        return self.op("Conv", x, weight, bias, kernel_shape=[kernel], **attrs)

    def dense(self, x: str, n_in: int, n_out: int) -> str:
        return self.op("Gemm", x, self.weight(n_out, n_in), self.weight(n_out), transB=1)

    def model(self, output: str, n_out: int, input_shape: Any = None) -> onnx.ModelProto:
        shape = input_shape or [1, self.leads, self.samples]
        graph = helper.make_graph(
            self.nodes,
            "net",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
            [helper.make_tensor_value_info(output, TensorProto.FLOAT, [1, n_out])],
            self.constants,
        )
        return helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=9
        )

    def save(self, output: str, n_out: int, path: Path, input_shape: Any = None) -> Path:
        onnx.save(self.model(output, n_out, input_shape), path)
        return path


def windows(path: Path, n: int, seed: int = 1) -> np.ndarray:
    """Return (window, ...) normal noise of the network's input shape."""
    graph = onnx.load(path).graph
    shape = [d.dim_value for d in graph.input[0].type.tensor_type.shape.dim]
    return np.random.default_rng(seed).standard_normal((n, *shape[1:])).astype(np.float32)


def quantize(path: Path, out: Path, *, tie_free: bool = True) -> Path:
    """Quantize a network to int8 QDQ form as `quantization=ptq_int8` does."""
    options = yaml.safe_load(
        (resource_folder("conf") / "quantization" / "ptq_int8.yaml").read_text()
    )
    del options["_target_"]
    options.update(n_calibration=64, tie_free=tie_free, max_drop=None)
    return Path(StaticInt8(**options).quantize(path, windows(path, 64, seed=2), out))


def narrow(path: Path, out: Path) -> Path:
    """Keep four bits of every int8 weight of a QDQ network, and the scales of all sums."""
    model = onnx.load(path)
    arrays = {i.name: numpy_helper.to_array(i) for i in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type != "DequantizeLinear" or node.input[0] not in arrays:
            continue
        codes, scale = (arrays[name] for name in node.input[:2])
        if codes.ndim > 1 or codes.dtype == np.int32:
            arrays[node.input[0]] = codes >> 4
            arrays[node.input[1]] = (scale * 16).astype(np.float32)
    kept = [numpy_helper.from_array(a.copy(), name) for name, a in arrays.items()]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
    onnx.save(model, out)
    return out


def compile_host(path: Path, folder: Path, *, allow_float_ops: int = 0) -> Compiled:
    """Compile a network for this machine."""
    graph = onnx.load(path).graph
    n_out = graph.output[0].type.tensor_type.shape.dim[-1].dim_value
    return compile_network(
        path,
        name="net",
        labels=tuple(f"class_{i}" for i in range(n_out)),
        target=HOST,
        allow_float_ops=allow_float_ops,
        folder=folder / "library",
    )


def run_host(compiled: Compiled, x: np.ndarray, folder: Path) -> np.ndarray:
    """Run a compiled network on windows and return real outputs (window, class)."""
    library = compiled.library
    # A name of its own: the loader would hand out the library that it loaded from a path before.
    handle, shared = tempfile.mkstemp(suffix=".so", dir=folder)
    os.close(handle)
    command = ["gcc", "-shared", "-fPIC", "-O1", "-std=c11", "-Wall", "-Wextra", "-Werror"]
    files = [str(path) for path in (*library.sources, *library.objects)]
    subprocess.run([*command, "-o", shared, *files, "-lm"], check=True)
    entry = ctypes.CDLL(shared).ecgexp_model_run
    outputs = []
    for window in library.quantise_inputs(x):
        out = np.zeros(len(library.labels), library.output_dtype)
        # Filled with noise: nothing may depend on what the arena held before.
        memory = np.full(library.arena_bytes + 64, 0xA5, np.uint8)
        start = memory.ctypes.data + (-memory.ctypes.data) % 16
        window = np.ascontiguousarray(window)
        status = entry(
            ctypes.c_void_p(window.ctypes.data),
            ctypes.c_void_p(out.ctypes.data),
            ctypes.c_void_p(start),
        )
        assert status == 0
        outputs.append(library.dequantise_outputs(out))
    return np.stack(outputs)


def reference(path: Path, x: np.ndarray) -> np.ndarray:
    """Return what ONNX Runtime computes for the network as written."""
    return run_onnx(path, x)
