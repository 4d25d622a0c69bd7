"""The C of an exported network: header, entry functions with the weights, and portable kernels."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ecgexp.deploy.emit import C_TYPE, ConstantPool, c_string, call, float_literal, prototypes
from ecgexp.deploy.export.c_source import print_kernels
from ecgexp.deploy.export.template import render
from ecgexp.deploy.kernels import QParams
from ecgexp.deploy.memory import ALIGNMENT, Arena
from ecgexp.deploy.program import Program

_OWN_PREFIX = "ecgexp"
_NO_QUANTIZATION = QParams(scale=1.0, zero_point=0)


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelSource:
    """Writes the C files of one network under one symbol prefix.

    Attributes:
        program: The network; its symbols begin with the prefix.
        arena: Places of its buffers.
        name: Of the network, for the engineer.
        labels: Class names in output order.
        prefix: Begins every global symbol; in capitals, every macro.
        input_shape: Of the ONNX input, batch included.
    """

    program: Program
    arena: Arena
    name: str
    labels: tuple[str, ...]
    prefix: str
    input_shape: tuple[int, ...]

    @property
    def arena_bytes(self) -> int:
        """Working memory of `run`; C has no empty arrays, so never 0."""
        return max(ALIGNMENT, self.arena.n_bytes)

    @property
    def float_arena_bytes(self) -> int:
        """Working memory of `run_float`: the arena, and the codes of input and output."""
        buffers = (self.program.input, self.program.output)
        return self.arena_bytes + sum(
            _codes_bytes(buffer.n_bytes, buffer.dtype) for buffer in buffers
        )

    def words(self) -> dict[str, str]:
        """Return what the templates of this network's files leave open."""
        x, y = self.program.input, self.program.output
        x_q = self.program.input_qparams or _NO_QUANTIZATION
        y_q = self.program.output_qparams or _NO_QUANTIZATION
        return {
            "prefix": self.prefix,
            "PREFIX": self.prefix.upper(),
            "name": self.name,
            "name_string": c_string(self.name),
            "input_type": C_TYPE[x.dtype],
            "output_type": C_TYPE[y.dtype],
            "input_elements": str(x.elements),
            "input_shape": " x ".join(str(size) for size in self.input_shape),
            "output_elements": str(y.elements),
            "arena_bytes": str(self.arena_bytes),
            "float_arena_bytes": str(self.float_arena_bytes),
            "input_codes_bytes": str(_codes_bytes(x.n_bytes, x.dtype)),
            "input_is_float": str(int(x.dtype == "float32")),
            "output_is_float": str(int(y.dtype == "float32")),
            "input_scale": decimal_literal(x_q.scale),
            "input_zero_point": f"({x_q.zero_point})",
            "output_scale": decimal_literal(y_q.scale),
            "output_zero_point": f"({y_q.zero_point})",
            "input_low": float_literal(-128 - x_q.zero_point),
            "input_high": float_literal(127 - x_q.zero_point),
            "is_probability": str(int(self.program.output_is_probability)),
            "labels": ",\n    ".join(c_string(label) for label in self.labels),
            "label_list": ", ".join(self.labels),
        }

    def header(self) -> str:
        """Return `model.h`."""
        return render("model.h", self.words())

    def kernels_header(self) -> str:
        """Return the declarations that `model.c` and the kernels share."""
        return render(
            "kernels.h",
            {**self.words(), "prototypes": "".join(prototypes(self.program.steps)).rstrip()},
        )

    def model(self) -> str:
        """Return `model.c`: weights, labels, entry functions."""
        constants = ConstantPool()
        calls = "".join(
            call(self.program, self.arena, step, constants) for step in self.program.steps
        )
        weights = "".join(constants.definitions)
        return render("model.c", {**self.words(), "weights": weights, "calls": calls})

    def kernels(self) -> str:
        """Return `kernels.c`.

        Raises:
            BuildError: A kernel has no portable C.
        """
        kernels = {step.symbol: step.kernel for step in self.program.steps}
        return render("kernels.c", {**self.words(), "kernels": print_kernels(kernels)})


def decimal_literal(number: float) -> str:
    """Write a float32 exactly, as C++ before 2017 reads it too."""
    text = f"{np.float32(number):.9g}"
    return f"{text}f" if set(text) & set(".e") else f"{text}.0f"


def with_prefix(program: Program, prefix: str) -> Program:
    """Return the program with the prefix at the head of every symbol."""
    steps = tuple(
        replace(step, symbol=f"{prefix}_{step.symbol.removeprefix(f'{_OWN_PREFIX}_')}")
        for step in program.steps
    )
    return replace(program, steps=steps)


def _codes_bytes(n_bytes: int, dtype: str) -> int:
    return 0 if dtype == "float32" else -(-n_bytes // ALIGNMENT) * ALIGNMENT
