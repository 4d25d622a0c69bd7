"""Bring values into memory in the form and layout that a kernel reads."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ecgexp.deploy import scalar
from ecgexp.deploy.graph import Op
from ecgexp.deploy.kernels import Isa, QParams, pad, quantize, table, transpose
from ecgexp.deploy.kernels.weights import BYTES, Storage
from ecgexp.deploy.program import Buffer, Dtype, ProgramBuilder
from ecgexp.deploy.rewrite.formula import compute_formula
from ecgexp.deploy.rewrite.value import (
    Codes,
    Order,
    Padded,
    Real,
    Table,
    View,
    raw,
    stored,
    time_major,
)


class Materialiser:
    """Compute values once and remember where they lie.

    Args:
        isa: Instruction set of the kernels.
        storage: How weights may lie in flash.
    """

    def __init__(self, *, isa: Isa, storage: Storage = BYTES) -> None:
        self.isa: Isa = isa
        self.storage = storage
        self.program = ProgramBuilder()
        self._done: dict[tuple[Any, ...], Buffer] = {}

    def output(self, elements: int, dtype: Dtype) -> Buffer:
        """Return a new buffer."""
        return self.program.buffer(elements, dtype)

    def codes(self, op: Op, value: Codes | Padded) -> Codes:
        """Return codes that lie in memory as they are."""
        if isinstance(value, Padded):
            assert isinstance(value.inner, Codes)
            return self._pad(op, self.codes(op, value.inner), value)
        if np.array_equal(value.codes, scalar.CODES):
            return value
        key = ("table", value.buffer.index, value.codes.tobytes())
        if key not in self._done:
            n = value.buffer.elements
            out = self.output(n, "int8")
            kernel = table.build(isa=self.isa, n=n, table=value.codes)
            self.program.call(kernel, (value.buffer,), out, op.origin or op.name)
            self._done[key] = out
        return raw(self._done[key], value.order)

    def table(self, op: Op, value: Table | Padded) -> Table:
        """Return a quantized tensor whose codes lie in memory.

        Raises:
            BuildError: The numbers were never quantized.
        """
        if isinstance(value, Padded):
            return self._pad_table(op, value)
        if value.codes is None or value.qparams is None:
            raise op.fail("its input is not quantized; quantize the whole network")
        codes = Codes(buffer=value.buffer, order=value.order, codes=value.codes)
        return stored(self.codes(op, codes).buffer, value.order, value.qparams)

    def real(self, op: Op, value: Any) -> Real:
        """Return float32 numbers in memory, computing formulas and dequantizing tables."""
        if isinstance(value, Padded):
            return self._pad_real(op, self.real(op, value.inner), value)
        if isinstance(value, Table):
            return self._dequantize(op, value)
        if not isinstance(value, Real):
            raise op.fail("it reads quantized codes as numbers")
        if not value.formula:
            return value
        key = ("formula", value.buffer.index, value.formula)
        if key not in self._done:
            self._done[key] = compute_formula(self, op, value.buffer, value.formula)
        return Real(buffer=self._done[key], order=value.order)

    def quantize(self, op: Op, value: Real, qparams: QParams) -> Codes:
        """Quantize float32 numbers on the device."""
        real = self.real(op, value)
        key = ("quantize", real.buffer.index, qparams)
        if key not in self._done:
            out = self.output(real.buffer.elements, "int8")
            kernel = quantize.build(isa=self.isa, n=real.buffer.elements, y=qparams)
            self.program.call(kernel, (real.buffer,), out, op.origin or op.name)
            self._done[key] = out
        return raw(self._done[key], real.order)

    def arrange(self, op: Op, view: View, order: Order | None = None) -> Buffer:
        """Return the buffer with the elements of a view in a given order, time-major by default.

        Raises:
            BuildError: No transposition leads there.
        """
        wanted = time_major(view.shape) if order is None else order
        if view.buffer.elements != wanted.size:
            raise op.fail(f"it reads {wanted.size} of {view.buffer.elements} elements")
        if np.array_equal(view.order, wanted):
            return view.buffer
        # Place in memory -> place wanted; a transposition maps r * cols + c to c * rows + r.
        place = np.empty(wanted.size, np.int64)
        place[view.order.reshape(-1)] = wanted.reshape(-1)
        rows = int(np.argmax(place == 1)) if place.size > 1 else 1
        for count in (rows, wanted.size // max(1, rows)):
            if count < 1 or wanted.size % count:
                continue
            grid = np.arange(wanted.size).reshape(wanted.size // count, count).T.reshape(-1)
            if np.array_equal(place, grid):
                return self._transpose(op, view.buffer, count, wanted.size // count)
        raise op.fail(f"the layout of its input {view.shape} cannot be reached by a transposition")

    def pad_channels(
        self, op: Op, value: Real | Table, pads: tuple[int, int], fill: float
    ) -> Real | Table:
        """Return a tensor of rank 3 with constant channels before and after its own.

        Raises:
            BuildError: The constant is no number of the tensor's quantization.
        """
        held = self.table(op, value) if isinstance(value, Table) else self.real(op, value)
        border = fill
        if isinstance(held, Table):
            (place,) = np.nonzero(held.values == np.float32(fill))
            if place.size == 0:
                raise op.fail(f"its constant {fill:g} has no code in its input's quantization")
            border = float(scalar.CODES[place[0]])
        buffer = self.arrange(op, held)
        batch, channels, length = held.shape
        out = self.output((channels + sum(pads)) * length, buffer.dtype)
        kernel = pad.build(
            isa=self.isa,
            length=length,
            channels=channels,
            time_pads=(0, 0),
            channel_pads=pads,
            value=border,
            dtype=buffer.dtype,
        )
        self.program.call(kernel, (buffer,), out, op.origin or op.name)
        order = time_major((batch, channels + sum(pads), length))
        return replace(held, buffer=out, order=order)

    def _transpose(self, op: Op, buffer: Buffer, rows: int, cols: int) -> Buffer:
        key = ("transpose", buffer.index, rows)
        if key not in self._done:
            out = self.output(buffer.elements, buffer.dtype)
            kernel = transpose.build(isa=self.isa, rows=rows, cols=cols, dtype=buffer.dtype)
            self.program.call(kernel, (buffer,), out, op.origin or op.name)
            self._done[key] = out
        return self._done[key]

    def _dequantize(self, op: Op, value: Table) -> Real:
        held = self.table(op, value)
        assert held.qparams is not None
        key = ("dequantize", held.buffer.index, held.qparams)
        if key not in self._done:
            out = self.output(held.buffer.elements, "float32")
            kernel = quantize.build_dequantize(isa=self.isa, n=held.buffer.elements, x=held.qparams)
            self.program.call(kernel, (held.buffer,), out, op.origin or op.name)
            self._done[key] = out
        return Real(buffer=self._done[key], order=held.order)

    def _pad(self, op: Op, inner: Codes, padded: Padded) -> Codes:
        return raw(self._pad_buffer(op, inner, padded), time_major(padded.shape))

    def _pad_table(self, op: Op, padded: Padded) -> Table:
        assert isinstance(padded.inner, Table)
        held = self.table(op, padded.inner)
        assert held.qparams is not None
        (code,) = scalar.quantize(
            np.array([padded.fill], np.float32), held.qparams.scale, held.qparams.zero_point
        )
        codes = Padded(inner=raw(held.buffer, held.order), pads=padded.pads, fill=int(code))
        laid = self.codes(op, codes)
        return stored(laid.buffer, laid.order, held.qparams)

    def _pad_real(self, op: Op, inner: Real, padded: Padded) -> Real:
        return Real(buffer=self._pad_buffer(op, inner, padded), order=time_major(padded.shape))

    def _pad_buffer(self, op: Op, inner: View, padded: Padded) -> Buffer:
        buffer = self.arrange(op, inner)
        key = ("pad", buffer.index, padded.pads, padded.fill)
        if key not in self._done:
            channels = inner.shape[1]
            out = self.output(int(np.prod(padded.shape)), buffer.dtype)
            kernel = pad.build(
                isa=self.isa,
                length=buffer.elements // channels,
                channels=channels,
                time_pads=padded.pads,
                channel_pads=(0, 0),
                value=padded.fill,
                dtype=buffer.dtype,
            )
            self.program.call(kernel, (buffer,), out, op.origin or op.name)
            self._done[key] = out
        return self._done[key]
