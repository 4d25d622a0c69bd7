"""Write the model library: kernels, weights and an entry function behind one C header."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecgexp.deploy import lower, scalar
from ecgexp.deploy.memory import Arena
from ecgexp.deploy.program import Buffer, Dtype, Program, Step, constant_bytes
from ecgexp.errors import BuildError
from ecgexp.target import Target

C_TYPE = {
    "int8": "int8_t",
    "int16": "int16_t",
    "int32": "int32_t",
    "uint8": "uint8_t",
    "float32": "float",
}
# Larger arrays are packed, which nobody can read but every compiler reads fast.
PACKED_BYTES = 1 << 16
_PER_LINE = {"int8": 20, "int16": 16, "int32": 10, "uint8": 20, "float32": 6}


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelLibrary:
    """A compiled network as files that a firmware links.

    Attributes:
        folder: Where the files lie.
        header: `model.h`.
        sources: C files to compile.
        objects: Object files to link.
        input_elements: Elements that the entry function reads.
        input_dtype: Element type that the entry function reads.
        output_dtype: Element type that it writes.
        input_scale: Step of the input; 1.0 for float32.
        input_zero_point: Code of 0.0 at the input; 0 for float32.
        output_scale: Step of the output; 1.0 for float32.
        output_zero_point: Code of 0.0 at the output; 0 for float32.
        arena_bytes: Memory that the caller provides.
        weight_bytes: Constants.
        macs: Multiply-accumulates of one inference.
        labels: Class names in output order.
    """

    folder: Path
    header: Path
    sources: tuple[Path, ...]
    objects: tuple[Path, ...]
    input_elements: int
    input_dtype: Dtype
    output_dtype: Dtype
    input_scale: float
    input_zero_point: int
    output_scale: float
    output_zero_point: int
    arena_bytes: int
    weight_bytes: int
    macs: int
    labels: tuple[str, ...]

    def moved(self, folder: Path) -> ModelLibrary:
        """Return the library with its files in another folder."""
        return replace(
            self,
            folder=folder,
            header=folder / self.header.name,
            sources=tuple(folder / path.name for path in self.sources),
            objects=tuple(folder / path.name for path in self.objects),
        )

    def quantise_inputs(self, x: NDArray[np.float32]) -> NDArray[Any]:
        """Turn windows into what the entry function reads, rounding as ONNX Runtime does.

        Args:
            x: (window, lead, sample) or (window, feature).

        Returns:
            (window, element) of the input's data type.

        Raises:
            BuildError: The windows do not have the network's size.
        """
        flat = np.ascontiguousarray(x, np.float32).reshape(len(x), -1)
        if flat.shape[1] != self.input_elements:
            raise BuildError(
                f"golden windows of shape {x.shape[1:]} do not fit the network's "
                f"{self.input_elements} inputs"
            )
        if self.input_dtype == "float32":
            return flat
        return scalar.quantize(flat, self.input_scale, self.input_zero_point)

    def dequantise_outputs(self, y: NDArray[Any]) -> NDArray[np.float32]:
        """Turn what the entry function wrote into real numbers, as ONNX Runtime does.

        Args:
            y: Output of the output's data type, any shape.
        """
        if self.output_dtype == "float32":
            return np.asarray(y, np.float32)
        return scalar.dequantize(y, self.output_scale, self.output_zero_point)


def write_library(
    program: Program,
    arena: Arena,
    *,
    name: str,
    labels: tuple[str, ...],
    target: Target,
    folder: Path,
) -> ModelLibrary:
    """Compile the kernels and write `model.h`, `model.c`, `kernels.o` and `metadata.json`.

    Args:
        program: The network.
        arena: Places of its buffers.
        name: For the firmware's banner.
        labels: Class names in output order.
        target: What to compile for.
        folder: Where to write; made if it is missing.

    Raises:
        BuildError: TVM cannot compile a kernel for the target.
    """
    folder.mkdir(parents=True, exist_ok=True)
    kernels = folder / "kernels.o"
    lower.write_object({s.symbol: s.kernel.func for s in program.steps}, target, kernels)
    header, source = folder / "model.h", folder / "model.c"
    header.write_text("".join(_header(program, arena, name)), encoding="utf-8")
    source.write_text("".join(_source(program, arena, labels)), encoding="utf-8")
    x, y = program.input_qparams, program.output_qparams
    library = ModelLibrary(
        folder=folder,
        header=header,
        sources=(source,),
        objects=(kernels,),
        input_elements=program.input.elements,
        input_dtype=program.input.dtype,
        output_dtype=program.output.dtype,
        input_scale=1.0 if x is None else x.scale,
        input_zero_point=0 if x is None else x.zero_point,
        output_scale=1.0 if y is None else y.scale,
        output_zero_point=0 if y is None else y.zero_point,
        arena_bytes=arena.n_bytes,
        weight_bytes=constant_bytes(program),
        macs=program.macs,
        labels=labels,
    )
    _write_metadata(library, program, arena, name)
    return library


def _write_metadata(library: ModelLibrary, program: Program, arena: Arena, name: str) -> None:
    steps = [
        {
            "symbol": step.symbol,
            "origin": step.origin,
            "macs": step.kernel.macs,
            "inputs": [buffer.index for buffer in step.inputs],
            "output": step.output.index,
        }
        for step in program.steps
    ]
    metadata = {
        "schema": 1,
        "name": name,
        "labels": list(library.labels),
        "input": {
            "elements": program.input.elements,
            "dtype": library.input_dtype,
            "scale": library.input_scale,
            "zero_point": library.input_zero_point,
        },
        "output": {
            "elements": program.output.elements,
            "dtype": library.output_dtype,
            "scale": library.output_scale,
            "zero_point": library.output_zero_point,
            "is_probability": program.output_is_probability,
        },
        "arena_bytes": arena.n_bytes,
        "arena_lower_bound_bytes": arena.lower_bound,
        "weight_bytes": library.weight_bytes,
        "macs": library.macs,
        "float_ops": list(program.float_ops),
        "steps": steps,
    }
    text = json.dumps(metadata, indent=1)
    (library.folder / "metadata.json").write_text(text + "\n", encoding="utf-8")


def _header(program: Program, arena: Arena, name: str) -> Iterator[str]:
    y = program.output_qparams
    yield "#ifndef ECGEXP_MODEL_H\n#define ECGEXP_MODEL_H\n\n#include <stdint.h>\n\n"
    yield f"typedef {C_TYPE[program.input.dtype]} ecgexp_input_t;\n"
    yield f"typedef {C_TYPE[program.output.dtype]} ecgexp_output_t;\n\n"
    defines = {
        "MODEL_NAME": c_string(name),
        "INPUT_ELEMENTS": program.input.elements,
        "OUTPUT_ELEMENTS": program.output.elements,
        # C has no empty arrays: a network of one kernel still gets an arena.
        "ARENA_BYTES": max(16, arena.n_bytes),
        "OUTPUT_SCALE": float_literal(1.0 if y is None else y.scale),
        "OUTPUT_ZERO_POINT": 0 if y is None else f"({y.zero_point})",
        "OUTPUT_IS_FLOAT": int(y is None),
        "OUTPUT_IS_PROBABILITY": int(program.output_is_probability),
    }
    for key, value in defines.items():
        yield f"#define ECGEXP_{key} {value}\n"
    yield "\nextern const char *const ecgexp_model_labels[ECGEXP_OUTPUT_ELEMENTS];\n\n"
    yield "/* arena: ECGEXP_ARENA_BYTES, 16-byte aligned; returns 0 */\n"
    yield "int32_t ecgexp_model_run(const ecgexp_input_t *input, ecgexp_output_t *output,\n"
    yield "                         void *arena);\n\n#endif\n"


def _source(program: Program, arena: Arena, labels: tuple[str, ...]) -> Iterator[str]:
    yield '#include "model.h"\n\n'
    # The linker script of a target decides in which memory this section lies.
    yield '#define ECGEXP_WEIGHT __attribute__((section(".ecgexp.weights"), aligned(16)))\n\n'
    names = ", ".join(c_string(label) for label in labels)
    yield f"const char *const ecgexp_model_labels[ECGEXP_OUTPUT_ELEMENTS] = {{{names}}};\n\n"
    yield from prototypes(program.steps)
    constants = ConstantPool()
    calls = [call(program, arena, step, constants) for step in program.steps]
    yield from constants.definitions
    yield "\nint32_t ecgexp_model_run(const ecgexp_input_t *input, ecgexp_output_t *output,\n"
    yield "                         void *arena) {\n"
    yield "  int8_t *const base = arena;\n  (void)base;\n"
    yield from calls
    yield "  return 0;\n}\n"


def prototypes(steps: Iterable[Step]) -> Iterator[str]:
    """Declare the kernels, one line each."""
    seen = set()
    for step in steps:
        if step.symbol in seen:
            continue
        seen.add(step.symbol)
        types = [*(b.dtype for b in step.inputs), *(c.dtype.name for c in step.kernel.constants)]
        parameters = [f"const {C_TYPE[dtype]} *" for dtype in types]
        parameters.append(f"{C_TYPE[step.output.dtype]} *")
        yield f"extern void {step.symbol}({', '.join(parameters)});\n"
    yield "\n"


class ConstantPool:
    """Constant arrays of the C file; equal ones are written once."""

    def __init__(self) -> None:
        self.definitions: list[str] = []
        self._names: dict[tuple[str, bytes], str] = {}

    def name(self, array: NDArray[Any]) -> str:
        """Return the C expression that points to an array.

        Raises:
            BuildError: A number of it is infinite or NaN.
        """
        key = (array.dtype.name, array.tobytes())
        if key not in self._names:
            name = f"w{len(self._names)}"
            if not np.all(np.isfinite(array)):
                raise BuildError("a constant of the network is not finite: repair its weights")
            packed = array.nbytes > PACKED_BYTES
            self.definitions.append(_packed(name, array) if packed else _readable(name, array))
            self._names[key] = f"{name}.values" if packed else name
        return self._names[key]


def _readable(name: str, array: NDArray[Any]) -> str:
    dtype = array.dtype.name
    write = float_literal if dtype == "float32" else str
    numbers = [write(number) for number in array.reshape(-1).tolist()]
    width = _PER_LINE[dtype]
    lines = [", ".join(numbers[i : i + width]) for i in range(0, len(numbers), width)]
    return (
        f"static const {C_TYPE[dtype]} {name}[{len(numbers)}] ECGEXP_WEIGHT = {{\n"
        + ",\n".join(lines)
        + "};\n"
    )


def _packed(name: str, array: NDArray[Any]) -> str:
    """Write eight bytes a number, for little-endian targets: megabytes compile in seconds."""
    content = array.reshape(-1).astype(array.dtype.newbyteorder("<")).tobytes()
    words = np.frombuffer(content + bytes(-len(content) % 8), "<u8").tolist()
    lines = [", ".join(f"{word:#x}" for word in words[i : i + 4]) for i in range(0, len(words), 4)]
    return (
        f"static const union {{\n  uint64_t words[{len(words)}];\n"
        f"  {C_TYPE[array.dtype.name]} values[{array.size}];\n}} {name} ECGEXP_WEIGHT = {{{{\n"
        + ",\n".join(lines)
        + "}};\n"
    )


def call(program: Program, arena: Arena, step: Step, constants: ConstantPool) -> str:
    """Return the C statement that runs a step, between `input`, `output` and `base` (int8_t *)."""
    arguments = [_place(program, arena, buffer, is_read=True) for buffer in step.inputs]
    arguments += [constants.name(array) for array in step.kernel.constants]
    arguments.append(_place(program, arena, step.output, is_read=False))
    origin = re.sub(r"[^ -)+-.0-~]", "_", step.origin)
    return f"  {step.symbol}({', '.join(arguments)}); /* {origin} */\n"


def _place(program: Program, arena: Arena, buffer: Buffer, *, is_read: bool) -> str:
    if buffer.index == program.input.index:
        return "input"
    if buffer.index == program.output.index:
        return "output"
    pointer = f"base + {arena.offsets[buffer.index]}"
    if buffer.dtype == "int8":
        return pointer
    constness = "const " if is_read else ""
    return f"({constness}{C_TYPE[buffer.dtype]} *)(void *)({pointer})"


def float_literal(number: float) -> str:
    """Write a float32 exactly."""
    single = np.float32(number)
    return f"{float(single).hex()}f"


def c_string(text: str) -> str:
    """Return a C string literal; what is not printable ASCII becomes octal escapes."""
    encoded = text.encode("utf-8")
    body = "".join(
        chr(byte) if 32 <= byte < 127 and byte not in (34, 92, 63) else f"\\{byte:03o}"
        for byte in encoded
    )
    return f'"{body}"'
