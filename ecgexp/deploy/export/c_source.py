"""Lowered TIR to portable C11.

TVM's own C code generator prints float constants with seven digits, reads float bits through an
integer pointer and needs TVM's headers: the first makes other numbers, the second is undefined.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from tvm import ir, tirx

from ecgexp.deploy import lower
from ecgexp.deploy.emit import C_TYPE, float_literal
from ecgexp.deploy.kernels import Kernel
from ecgexp.errors import BuildError

LOCAL_BYTES = 256
_TYPES = {**C_TYPE, "bool": "int32_t"}
_N_BYTES = {"int8": 1, "uint8": 1, "int16": 2, "int32": 4, "float32": 4}
_NARROW = frozenset({"int8", "uint8", "int16"})
_INFIX: dict[type, str] = {
    tirx.Add: "+",
    tirx.Sub: "-",
    tirx.Mul: "*",
    tirx.Div: "/",
    tirx.Mod: "%",
    tirx.RShift: ">>",
    tirx.LShift: "<<",
    tirx.BitwiseAnd: "&",
    tirx.BitwiseOr: "|",
    tirx.BitwiseXor: "^",
    tirx.LT: "<",
    tirx.LE: "<=",
    tirx.GT: ">",
    tirx.GE: ">=",
    tirx.EQ: "==",
    tirx.NE: "!=",
    tirx.And: "&&",
    tirx.Or: "||",
}
_CHOICE: dict[type, tuple[str, str]] = {tirx.Max: ("max", ">"), tirx.Min: ("min", "<")}
_BITS = """\
static inline int32_t bits_of_float(float value) {
  int32_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}
"""


def print_kernels(kernels: Mapping[str, Kernel]) -> str:
    """Return C definitions of kernels, with the helper functions and includes they need.

    Args:
        kernels: Symbol to kernel, written for isa `generic`.

    Raises:
        BuildError: A kernel holds something that has no portable C.
    """
    lowered = lower.lower_to_loops({name: kernel.func for name, kernel in kernels.items()})
    helpers: dict[str, str] = {}
    headers: set[str] = set()
    bodies = []
    for name, kernel in kernels.items():
        printer = _Printer(name, helpers, headers)
        bodies.append("\n".join(printer.function(lowered[name], in_place=kernel.in_place)))
    includes = "".join(f"#include <{header}>\n" for header in sorted(headers))
    parts = [helpers[key] for key in sorted(helpers)] + bodies
    return (includes + "\n" if includes else "") + "\n".join(parts)


class _Printer:
    """Print one function."""

    def __init__(self, symbol: str, helpers: dict[str, str], headers: set[str]) -> None:
        self._symbol = symbol
        self._helpers = helpers
        self._headers = headers
        self._names: dict[Any, str] = {}
        self._scalars: set[str] = set()
        self._local_bytes = 0

    def function(self, func: Any, *, in_place: bool) -> Iterator[str]:
        """Yield the lines of a definition; parameters are inputs, constants, output."""
        parameters = []
        for index, parameter in enumerate(func.params):
            c_type = self._type(parameter.ty.dtype)
            name = self._name(parameter)
            is_output = index == len(func.params) - 1
            # An output that may lie on an input must not promise the compiler otherwise.
            qualifier = "" if in_place else "restrict "
            constness = "" if is_output else "const "
            parameters.append(f"{constness}{c_type} *{qualifier if is_output else ''}{name}")
        yield f"ECGEXP_CODE void {self._symbol}({', '.join(parameters)}) {{"
        yield from self._statement(func.body, 1)
        yield "}\n"

    def _statement(self, node: Any, depth: int) -> Iterator[str]:
        pad = "  " * depth
        if isinstance(node, tirx.SeqStmt):
            for child in node.seq:
                yield from self._statement(child, depth)
        elif isinstance(node, tirx.DeclBuffer):
            self._names[node.buffer] = self._names[node.data.args[0]]
        elif isinstance(node, tirx.AllocBuffer):
            yield pad + self._local(node.buffer)
        elif isinstance(node, tirx.Bind):
            value = self._expression(node.value)
            c_type = self._type(node.var.ty.dtype)
            yield f"{pad}const {c_type} {self._name(node.var)} = {value};"
        elif isinstance(node, tirx.BufferStore):
            value = self._expression(node.value)
            yield f"{pad}{self._element(node.buffer, node.indices)} = {value};"
        elif isinstance(node, tirx.For):
            start, extent = self._expression(node.min), self._expression(node.extent)
            end = extent if start == "0" else f"({start}) + ({extent})"
            variable = self._name(node.loop_var)
            yield (f"{pad}for (int32_t {variable} = {start}; {variable} < {end}; ++{variable}) {{")
            yield from self._statement(node.body, depth + 1)
            yield pad + "}"
        elif isinstance(node, tirx.IfThenElse):
            yield f"{pad}if ({self._expression(node.condition)}) {{"
            yield from self._statement(node.then_case, depth + 1)
            if node.else_case is not None:
                yield pad + "} else {"
                yield from self._statement(node.else_case, depth + 1)
            yield pad + "}"
        else:
            raise self._unknown(node)

    def _local(self, buffer: Any) -> str:
        dtype = self._dtype(buffer.dtype)
        elements = int(buffer.shape[0])
        self._local_bytes += elements * _N_BYTES[dtype]
        if self._local_bytes > LOCAL_BYTES:
            raise BuildError(
                f"kernel {self._symbol} keeps more than {LOCAL_BYTES} bytes on the stack"
            )
        name = self._name(buffer)
        if elements == 1:
            self._scalars.add(name)
            return f"{self._type(dtype)} {name};"
        return f"{self._type(dtype)} {name}[{elements}];"

    def _element(self, buffer: Any, indices: Any) -> str:
        name = self._names[buffer]
        if name in self._scalars:
            return name
        return f"{name}[{self._expression(indices[0])}]"

    def _expression(self, node: Any) -> str:
        kind = type(node)
        if isinstance(node, tirx.IntImm):
            return self._integer(int(node.value))
        if isinstance(node, tirx.FloatImm):
            self._dtype(node.ty.dtype)
            if not math.isfinite(node.value):
                raise self._unknown(node)
            return float_literal(float(node.value))
        if isinstance(node, ir.TensorLoad):
            return self._element(node.source, node.indices)
        if isinstance(node, tirx.Var):
            return self._names[node]
        if kind in _INFIX:
            text = f"({self._expression(node.a)} {_INFIX[kind]} {self._expression(node.b)})"
            # C computes in int what TIR computes in eight or sixteen bits.
            dtype = self._dtype(node.ty.dtype)
            return f"({_TYPES[dtype]}){text}" if dtype in _NARROW else text
        if kind in _CHOICE:
            return self._choice(node, *_CHOICE[kind])
        if isinstance(node, tirx.Cast):
            return f"({self._type(node.ty.dtype)})({self._expression(node.value)})"
        if isinstance(node, tirx.Not):
            return f"(!{self._expression(node.a)})"
        if isinstance(node, tirx.Select):
            return self._ternary(node.condition, node.true_value, node.false_value)
        if isinstance(node, ir.Call):
            return self._call(node)
        raise self._unknown(node)

    def _call(self, node: Any) -> str:
        name = str(node.op.name).rpartition(".")[2]
        if name == "if_then_else":
            return self._ternary(*node.args)
        if name == "likely":
            return self._expression(node.args[0])
        if name == "reinterpret":
            source, result = (self._dtype(e.ty.dtype) for e in (node.args[0], node))
            if (source, result) == ("float32", "int32"):
                self._headers.add("string.h")
                self._helpers["bits_of_float"] = _BITS
                return f"bits_of_float({self._expression(node.args[0])})"
        if name == "call_pure_extern":
            self._headers.add("math.h")
            arguments = ", ".join(self._expression(argument) for argument in node.args[1:])
            return f"{node.args[0].value}({arguments})"
        raise self._unknown(node)

    def _choice(self, node: Any, word: str, sign: str) -> str:
        """A function, so that each operand is written and computed once."""
        dtype = self._dtype(node.ty.dtype)
        c_type, name = _TYPES[dtype], f"{word}_{dtype}"
        self._helpers[name] = (
            f"static inline {c_type} {name}({c_type} a, {c_type} b) {{\n"
            f"  return a {sign} b ? a : b;\n}}\n"
        )
        return f"{name}({self._expression(node.a)}, {self._expression(node.b)})"

    def _ternary(self, condition: Any, yes: Any, no: Any) -> str:
        parts = (self._expression(part) for part in (condition, yes, no))
        return "({} ? {} : {})".format(*parts)

    def _integer(self, value: int) -> str:
        if value == -(2**31):
            return "(-2147483647 - 1)"
        return f"({value})" if value < 0 else str(value)

    def _name(self, variable: Any) -> str:
        plain = re.sub(r"\W", "_", str(variable.name)) or "local"
        taken = set(self._names.values())
        number, name = 0, plain
        while name in taken:
            number += 1
            name = f"{plain}_{number}"
        self._names[variable] = name
        return name

    def _dtype(self, dtype: Any) -> str:
        name = str(dtype)
        if name not in _TYPES:
            raise BuildError(f"kernel {self._symbol} uses {name}, which has no portable C type")
        return name

    def _type(self, dtype: Any) -> str:
        return _TYPES[self._dtype(dtype)]

    def _unknown(self, node: Any) -> BuildError:
        what = node.op.name if isinstance(node, ir.Call) else type(node).__name__
        return BuildError(f"kernel {self._symbol} uses {what}, which has no portable C")
