"""int8 addition and multiplication for Helium, with multipliers proved on all 65,536 pairs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ecgexp.deploy.kernels import helium, proof
from ecgexp.deploy.kernels.ir import Parameter, T, constant_parameters, f32, i32, prim_func
from ecgexp.deploy.kernels.kernel import Kernel, QParams

_LANES = 8
_HALF_BITS = 16
# (a, b) as int16x8 and the constants' buffer to the two float32x4 of even and odd lanes.
_Formula = Callable[[Any, Any, Any], tuple[Any, Any]]


def build(
    op: str,
    length: int,
    channels: int,
    broadcast: str,
    *,
    a: QParams,
    b: QParams,
    y: QParams,
    limits: tuple[int, int],
) -> Kernel | None:
    """Build the kernel, or return None where no multiplier gives ONNX Runtime's results."""
    constants: tuple[np.ndarray[Any, Any], ...] = ()
    # Whole numbers take a third fewer cycles where one multiplier serves many samples. The product
    # stays out of the load of the pointwise convolution after it: tiles that multiply what they
    # read, measured in six layers of the bench networks, take from 6 % fewer to 4 % more cycles
    # than the two apart (bias, step and gate are loaded anew for every two positions), at best
    # 0.6 % of the guide model; memory gains nothing, for the product lies where its input lay.
    fraction = None
    if op == "mul" and broadcast != "none" and limits == (-128, 127):
        fraction = proof.product_fraction(a, b, y)
    formula: _Formula | None
    if op == "mul":
        k = proof.product_multiplier(a, b, y)
        formula = _product(a, b, k) if k is not None else None
    else:
        sums = proof.sum_multipliers(a, b, y)
        reciprocal = proof.sum_reciprocal(a, b, y) if sums is None else None
        if sums is not None:
            formula = _fused_sum(*sums)
        else:
            formula = _plain_sum(a, b, reciprocal) if reciprocal is not None else None
            constants = (np.ones(1, np.float32),)
    rows, width = (length, channels) if broadcast == "time" else (1, length * channels)
    size_b = {"none": length * channels, "time": channels, "scalar": 1}[broadcast]
    if fraction is not None:
        loops: _Loops = _FractionLoops(rows, width, broadcast, fraction, a, b)
    elif formula is not None:
        loops = _Loops(rows, width, broadcast, formula, y, limits)
    else:
        return None
    parameters = [
        Parameter("a", length * channels, "int8"),
        Parameter("b", size_b, "int8"),
        *constant_parameters(constants),
        Parameter("out", length * channels, "int8"),
    ]
    name = f"{op}_int8_{broadcast}_l{length}c{channels}"
    func = prim_func(name, parameters, loops.body)
    return Kernel(name, func, constants, 0, in_place=True)


def _product(a: QParams, b: QParams, k: float) -> _Formula:
    def formula(first: Any, second: Any, _: Any) -> tuple[Any, Any]:
        left = T.Bind(first - helium.splat(T.int16(a.zero_point), _LANES))
        right = T.Bind(second - helium.splat(T.int16(b.zero_point), _LANES))
        factor = helium.splat(f32(k), 4)
        even, odd = (
            T.Cast("float32x4", helium.multiply_halves(left, right, top)) * factor for top in (0, 1)
        )
        return even, odd

    return formula


def _fused_sum(ka: float, kb: float, offset: float) -> _Formula:
    def formula(first: Any, second: Any, _: Any) -> tuple[Any, Any]:
        def half(top: int) -> Any:
            inner = helium.multiply_add(
                _real(second, top), helium.splat(f32(kb), 4), helium.splat(f32(offset), 4)
            )
            return helium.multiply_add(_real(first, top), helium.splat(f32(ka), 4), inner)

        return half(0), half(1)

    return formula


def _plain_sum(a: QParams, b: QParams, k: float) -> _Formula:
    """Round each product before the sum, as DequantizeLinear does.

    The sum is a fused multiply-add with a 1 that the compiler cannot see, so that it cannot fuse
    one of the products instead.
    """

    def formula(first: Any, second: Any, constants: Any) -> tuple[Any, Any]:
        def half(top: int) -> Any:
            zero_a, zero_b = (helium.splat(f32(q.zero_point), 4) for q in (a, b))
            left = (_real(first, top) - zero_a) * helium.splat(f32(a.scale), 4)
            right = (_real(second, top) - zero_b) * helium.splat(f32(b.scale), 4)
            total = helium.multiply_add(left, helium.splat(constants[0], 4), right)
            return total * helium.splat(f32(k), 4)

        return half(0), half(1)

    return formula


def _real(values: Any, top: int) -> Any:
    return T.Cast("float32x4", helium.widen_half(values, top))


class _Loops:
    """Emits the loops over rows of `width` elements, eight at a time."""

    def __init__(
        self,
        rows: int,
        width: int,
        broadcast: str,
        formula: _Formula,
        y: QParams,
        limits: tuple[int, int],
    ) -> None:
        self.rows, self.width, self.broadcast = rows, width, broadcast
        self.formula, self.y, self.limits = formula, y, limits

    def body(self, a: Any, b: Any, *rest: Any) -> None:
        """Emit the whole kernel; columns outside, so that a broadcast operand is loaded once."""
        full, tail = divmod(self.width, _LANES)
        if full and self.rows == 1:
            with T.serial(full) as i:
                self._step(a, b, rest, i * _LANES, i * _LANES, _LANES)
        elif full:
            with T.serial(full) as i, T.serial(self.rows) as row:
                self._step(a, b, rest, row * self.width + i * _LANES, i * _LANES, _LANES)
        if tail:
            with T.serial(self.rows) as row:
                start = full * _LANES
                self._step(a, b, rest, row * self.width + start, start, tail)

    def _step(
        self, a: Any, b: Any, rest: tuple[Any, ...], at: Any, column: Any, width: int
    ) -> None:
        first = T.Bind(helium.load_halfwords(a, at, width))
        second = T.Bind(self._second(b, column, width))
        helium.store_halfwords(rest[-1], at, self._values(first, second, rest), width)

    def _second(self, b: Any, column: Any, width: int) -> Any:
        if self.broadcast == "scalar":
            return helium.splat(T.Cast("int16", b[0]), _LANES)
        return helium.load_halfwords(b, column, width)

    def _values(self, first: Any, second: Any, rest: tuple[Any, ...]) -> Any:
        even, odd = self.formula(first, second, rest[0])
        return helium.quantize_pair(even, odd, self.y, self.limits)


class _FractionLoops(_Loops):
    """Emits the same loops with a product in whole numbers; LLVM keeps multipliers out of them."""

    def __init__(
        self,
        rows: int,
        width: int,
        broadcast: str,
        fraction: proof.Fraction,
        a: QParams,
        b: QParams,
    ) -> None:
        self.rows, self.width, self.broadcast = rows, width, broadcast
        self.fraction, self.a, self.b = fraction, a, b

    def _values(self, first: Any, second: Any, rest: tuple[Any, ...]) -> Any:
        left = T.Bind(first - helium.splat(T.int16(self.a.zero_point), _LANES))
        right = T.Bind(second - helium.splat(T.int16(self.b.zero_point), _LANES))
        factor, offset = (
            helium.splat(f32(self.fraction.factor), 4),
            helium.splat(i32(self.fraction.offset), 4),
        )
        sums = [
            T.Bind(
                helium.widen_half(left, top) * helium.round_to_int(_real(right, top) * factor)
                + offset
            )
            for top in (0, 1)
        ]
        halves = helium.shift_narrow(sums[0], sums[0], _HALF_BITS, 0)
        halves = T.Bind(helium.shift_narrow(halves, sums[1], _HALF_BITS, 1))
        return helium.shift_to_bytes(halves, self.fraction.shift - _HALF_BITS)
