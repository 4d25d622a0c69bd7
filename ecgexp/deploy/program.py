"""The compiled network: kernel calls on buffers, in executable order."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import tvm_ffi
from numpy.typing import NDArray

from ecgexp.deploy.kernels import Kernel, QParams

Dtype = Literal["int8", "float32"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Buffer:
    """A flat tensor in memory.

    Attributes:
        index: Identity within its program.
        elements: Number of elements.
        dtype: Element type.
    """

    index: int
    elements: int
    dtype: Dtype

    @property
    def n_bytes(self) -> int:
        """Size in bytes."""
        return self.elements * (4 if self.dtype == "float32" else 1)


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One call of a kernel.

    Attributes:
        symbol: C name of the function; equal functions share it.
        kernel: The function and its constants.
        inputs: Buffers that it reads.
        output: Buffer that it writes.
        origin: The operator it stands for.
    """

    symbol: str
    kernel: Kernel
    inputs: tuple[Buffer, ...]
    output: Buffer
    origin: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Program:
    """A network ready for memory planning and code generation.

    Attributes:
        input: Buffer handed in by the caller, in ONNX element order.
        output: Buffer handed in by the caller, (class,).
        steps: Kernel calls in order.
        input_qparams: Quantization of the input, or None for float32.
        output_qparams: Quantization of the output, or None for float32.
        output_is_probability: Whether the network ends in a softmax.
        float_ops: Operators that an int8 network computes in float32.
        quantized: Whether the network holds any quantized operator.
    """

    input: Buffer
    output: Buffer
    steps: tuple[Step, ...]
    input_qparams: QParams | None
    output_qparams: QParams | None
    output_is_probability: bool
    float_ops: tuple[str, ...]
    quantized: bool

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one inference."""
        return sum(step.kernel.macs for step in self.steps)

    @property
    def constants(self) -> tuple[NDArray[Any], ...]:
        """Constant arrays in the order of the calls."""
        return tuple(array for step in self.steps for array in step.kernel.constants)


@dataclass(slots=True)
class ProgramBuilder:
    """Collect steps; equal kernels get one symbol."""

    steps: list[Step] = field(default_factory=list)
    _buffers: int = 0
    _symbols: dict[int, list[tuple[Any, str]]] = field(default_factory=dict)

    def buffer(self, elements: int, dtype: Dtype) -> Buffer:
        """Return a new buffer."""
        self._buffers += 1
        return Buffer(index=self._buffers - 1, elements=int(elements), dtype=dtype)

    def call(self, kernel: Kernel, inputs: tuple[Buffer, ...], output: Buffer, origin: str) -> None:
        """Append a kernel call."""
        self.steps.append(
            Step(
                symbol=self.symbol(kernel),
                kernel=kernel,
                inputs=inputs,
                output=output,
                origin=origin,
            )
        )

    def needed(self, output: Buffer) -> tuple[Step, ...]:
        """Return the steps that the output depends on, in order."""
        wanted = {output.index}
        kept: list[Step] = []
        for step in reversed(self.steps):
            if step.output.index in wanted:
                wanted.update(buffer.index for buffer in step.inputs)
                kept.append(step)
        return tuple(reversed(kept))

    def symbol(self, kernel: Kernel) -> str:
        """Return the C name of a kernel's function; equal functions share one."""
        plain = kernel.func.without_attr("global_symbol")
        known = self._symbols.setdefault(tvm_ffi.structural_hash(plain), [])
        for func, symbol in known:
            if tvm_ffi.structural_equal(func, plain):
                return symbol
        total = sum(len(entries) for entries in self._symbols.values())
        symbol = f"ecgexp_k{total}_{kernel.name}"
        known.append((plain, symbol))
        return symbol


def constant_bytes(program: Program) -> int:
    """Return the bytes of all constants; equal arrays are stored once."""
    unique = {(array.dtype.name, array.tobytes()): array.nbytes for array in program.constants}
    return sum(unique.values())
