"""Dense and grouped int8 convolution for the DSP extension: two products per instruction.

The window of a position is one run of bytes, or one per tap where taps are dilated or channels
grouped. It is read in words of four bytes, which need not be aligned; a tile of two positions by
two channels uses each widened word twice. Weights lie in the order in which a tile visits them, so
that one pointer runs through them.

The weights of two channels can share a halfword, 256 * a + b: sums with the whole halfword and with
its low byte b, which need one widening instead of two, give both channels' sums.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ecgexp.deploy.kernels import dsp
from ecgexp.deploy.kernels.conv_shape import ConvShape
from ecgexp.deploy.kernels.ir import (
    Parameter,
    T,
    constant_parameters,
    i32,
    local,
    prim_func,
    store,
)
from ecgexp.deploy.kernels.kernel import Kernel
from ecgexp.deploy.kernels.weights import Integers

Array = np.ndarray[Any, Any]
_PAIR = 2
_UNROLLED_WORDS = 16
_LOOP_WORDS = 8
_LOOP_TAPS = 16
_SHARED_BITS = 23


def fits(shape: ConvShape) -> bool:
    """Return whether the kernel computes this convolution: one of one dimension."""
    return shape.is_flat


class _Runs(NamedTuple):
    """A window as runs of neighbouring bytes: their number, size and distance in the input."""

    number: int
    size: int
    step: int

    @classmethod
    def of(cls, shape: ConvShape) -> _Runs:
        if shape.groups == 1 and shape.dilation == 1:
            return cls(1, shape.kernel * shape.c_in, 0)
        return cls(shape.kernel, shape.group_in, shape.dilation * shape.c_in)


@dataclass(frozen=True)
class WordPlan:
    """In which order the words of a window are visited: a loop over an unrolled list.

    Attributes:
        loops: Iterations of the loop.
        data_step: Input bytes between iterations.
        run_step: Runs between iterations.
        words: Input offset and run of each unrolled word.
        order: First weight of each word in the order of the visits, counted in a window whose runs
            are filled up to `run_bytes`.
        run_bytes: Bytes of a run, the filling included.
    """

    loops: int
    data_step: int
    run_step: int
    words: tuple[tuple[int, int], ...]
    order: tuple[int, ...]
    run_bytes: int

    @property
    def total(self) -> int:
        """Words that a tile visits."""
        return self.loops * len(self.words)

    @property
    def reach(self) -> int:
        """Input bytes from the start of a window to the end of its last word."""
        last = max(offset for offset, _ in self.words)
        return (self.loops - 1) * self.data_step + last + dsp.WORD

    @classmethod
    def of(cls, shape: ConvShape, runs: _Runs) -> WordPlan:
        """Unroll few words; else loop over slices of channels, over runs or along the run.

        Visiting the taps of one slice of channels after each other lets neighbouring positions
        share what they have widened.
        """
        slices, odd = divmod(shape.group_in, dsp.WORD)
        if not odd and shape.kernel <= _LOOP_TAPS:
            unrolled = max(
                n
                for n in range(1, slices + 1)
                if slices % n == 0 and (n == 1 or n * shape.kernel <= _limit(slices, shape.kernel))
            )
            return cls._sliced(shape, runs, slices // unrolled, unrolled)
        words = -(-runs.size // dsp.WORD)
        if runs.number * words <= _UNROLLED_WORDS:
            return cls._along(runs, runs.number, words, 1)
        if runs.number > 1:
            return cls._along(runs, 1, words, runs.number)
        # The filling words of the last iteration meet zero weights.
        loops = -(-words // _LOOP_WORDS)
        return cls._along(runs, 1, _LOOP_WORDS, loops, along=_LOOP_WORDS * dsp.WORD)

    @classmethod
    def _sliced(cls, shape: ConvShape, runs: _Runs, loops: int, unrolled: int) -> WordPlan:
        tap_step = shape.dilation * shape.c_in
        run_of_tap = 1 if runs.number > 1 else 0
        body = [(s * dsp.WORD, k) for s in range(unrolled) for k in range(shape.kernel)]
        step = unrolled * dsp.WORD
        order = [loop * step + at + k * shape.group_in for loop in range(loops) for at, k in body]
        words = tuple((k * tap_step + at, k * run_of_tap) for at, k in body)
        return cls(loops, step, 0, words, tuple(order), runs.size)

    @classmethod
    def _along(cls, runs: _Runs, count: int, words: int, loops: int, along: int = 0) -> WordPlan:
        run_bytes = (words if not along else words * loops) * dsp.WORD
        body = [(run, word * dsp.WORD) for run in range(count) for word in range(words)]
        stride = along or run_bytes
        order = [loop * stride + run * run_bytes + at for loop in range(loops) for run, at in body]
        listed = tuple((run * runs.step + at, run) for run, at in body)
        step = along or runs.step
        return cls(loops, step, 0 if along else 1, listed, tuple(order), run_bytes)


def _limit(slices: int, kernel: int) -> int:
    return _UNROLLED_WORDS if slices * kernel <= _UNROLLED_WORDS else _LOOP_WORDS


def build(shape: ConvShape, layer: Integers) -> Kernel:
    """Build the kernel; for the geometry `fits` holds."""
    plan = WordPlan.of(shape, _Runs.of(shape))
    pairs = _pairs(shape, plan, layer.weight)
    shared = _can_share(pairs)
    constants = (_pack(pairs, shared=shared), layer.bias, layer.scale)
    loops = _Loops(shape, plan, shared, layer)
    parameters = [
        Parameter("data", shape.length * shape.c_in, "int8"),
        *constant_parameters(constants),
        Parameter("out", shape.length_out * shape.c_out, "int8"),
    ]
    name = f"conv1d_int8_{shape.label}"
    return Kernel(name, prim_func(name, parameters, loops.body), constants, shape.macs)


def _pairs(shape: ConvShape, plan: WordPlan, weight: Array) -> Array:
    """Arrange weights as (group, pair of channels, channel of pair, word, byte), int16."""
    runs = _Runs.of(shape)
    windows = weight.transpose(0, 2, 1).reshape(shape.groups, shape.group_out, runs.number, -1)
    odd, filling = shape.group_out % _PAIR, plan.run_bytes - runs.size
    padded = np.pad(windows, ((0, 0), (0, odd), (0, 0), (0, filling)))
    flat = padded.reshape(shape.groups, -1, _PAIR, runs.number * plan.run_bytes)
    places = np.asarray(plan.order)[:, None] + np.arange(dsp.WORD)
    arranged: Array = flat[..., places].astype(np.int16)
    return arranged


def _can_share(pairs: Array) -> bool:
    """Tell whether 256 * a + b fits a halfword and the sums with a leave 8 bits of a word free."""
    b, a = pairs[:, :, 0].astype(np.int64), pairs[:, :, 1].astype(np.int64)
    widest = np.abs(a).sum(axis=(-2, -1)).max() * 128
    return bool((256 * a + b).min() >= -(2**15) and widest < 2**_SHARED_BITS)


def _pack(pairs: Array, *, shared: bool) -> Array:
    """Pack two words per visit: halfwords of even and of odd bytes, or one channel's bytes each."""
    if shared:
        halves = pairs[:, :, 1] * np.int16(256) + pairs[:, :, 0]
        visits = np.stack([halves[..., 0::2], halves[..., 1::2]], axis=-2)
    else:
        visits = pairs.transpose(0, 1, 3, 2, 4).astype(np.int8)
    return np.ascontiguousarray(visits).reshape(-1).view(np.int32)


class _Loops:
    """Emits the loops of one convolution."""

    def __init__(self, shape: ConvShape, plan: WordPlan, shared: bool, layer: Integers) -> None:
        self.shape, self.plan, self.shared, self.layer = shape, plan, shared, layer
        self.runs = _Runs.of(shape)
        self.group_pairs = -(-shape.group_out // _PAIR)
        self.first, self.last = self._interior()
        self.data: Any = None
        self.weights: Any = None
        self.biases: Any = None
        self.scales: Any = None
        self.out: Any = None

    def _interior(self) -> tuple[int, int]:
        """Return the positions [first, last) whose words all lie inside the input."""
        shape = self.shape
        first = -(-shape.pads[0] // shape.stride)
        room = shape.length * shape.c_in - self.plan.reach - (shape.c_in - shape.group_in)
        last = (room // shape.c_in + shape.pads[0]) // shape.stride if room >= 0 else -1
        last = min(last + 1, shape.length_out)
        return (first, last) if last > first else (0, 0)

    def body(self, data: Any, weights: Any, biases: Any, scales: Any, out: Any) -> None:
        """Emit the whole kernel."""
        self.data, self.weights, self.biases = data, weights, biases
        self.scales, self.out = scales, out
        inside = self.last - self.first
        step = min(_PAIR, inside)
        with T.serial(self.shape.groups) as group:
            if inside:
                self._inside(group, step)
            border = self.shape.length_out - inside
            if border:
                with T.serial(border) as i:
                    p = T.if_then_else(i < self.first, i, i + i32(inside)) if inside else i
                    self._channels([p], group, border=True)

    def _inside(self, group: Any, step: int) -> None:
        count = self.last - self.first
        with T.serial(count // step) as i:
            first = i * step + i32(self.first)
            self._channels([first + j for j in range(step)], group, border=False)
        if count % step:
            # One more tile, overlapping the one before, instead of a remainder.
            last = [i32(self.last - step + j) for j in range(step)]
            self._channels(last, group, border=False)

    def _channels(self, positions: list[Any], group: Any, *, border: bool) -> None:
        """Emit all channels of a group for some positions."""
        whole, single = divmod(self.shape.group_out, _PAIR)
        if whole:
            with T.serial(whole) as pair:
                self._tile(positions, group, pair, _PAIR, border)
        if single:
            self._tile(positions, group, i32(whole), 1, border)

    def _tile(self, positions: list[Any], group: Any, pair: Any, width: int, border: bool) -> None:
        """Emit some positions by one or two channels."""
        shape = self.shape
        channel = group * shape.group_out + pair * _PAIR
        acc = local(len(positions) * _PAIR, "int32")
        for j in range(len(positions)):
            store(acc, j * _PAIR, self.biases[channel])
            start = self.biases[channel + 1] if width == _PAIR and not self.shared else i32(0)
            store(acc, j * _PAIR + 1, start)
        self._accumulate(acc, positions, group, pair, border)
        for j, p in enumerate(positions):
            low, high = T.Bind(acc[j * _PAIR]), T.Bind(acc[j * _PAIR + 1])
            if self.shared and width == _PAIR:
                sums = (high + self.biases[channel]) - low
                high = (sums >> i32(8)) + self.biases[channel + 1]
            for n, value in enumerate((low, high)[:width]):
                y, limits = self.layer.y, self.layer.limits
                result = dsp.requantize(value, self.scales[channel + n], y, limits)
                store(self.out, p * shape.c_out + channel + n, result)

    def _accumulate(
        self, acc: Any, positions: list[Any], group: Any, pair: Any, border: bool
    ) -> None:
        """Sum the windows of some positions over the weights of a pair of channels."""
        shape, plan = self.shape, self.plan
        start = T.Bind(positions[0] * i32(shape.stride) - i32(shape.pads[0]))
        base = T.Bind(start * shape.c_in + group * shape.group_in)
        stream = (group * self.group_pairs + pair) * (plan.total * _PAIR)

        def visit(loop: Any) -> None:
            loaded: dict[tuple[int, int], tuple[Any, Any]] = {}
            here = base + loop * plan.data_step
            at = stream + loop * (len(plan.words) * _PAIR)
            for index, (offset, run) in enumerate(plan.words):
                operands = self._operands(at + i32(index * _PAIR))
                for j in range(len(positions)):
                    where = j * shape.stride * shape.c_in + offset
                    if (where, run if border else 0) not in loaded:
                        if border:
                            tap = loop * plan.run_step + i32(run)
                            word = self._border_word(start, here + i32(where), tap)
                        else:
                            word = dsp.word(self.data, here + i32(where))
                        pair_of = (dsp.even_bytes(word), dsp.odd_bytes(word))
                        loaded[where, run if border else 0] = pair_of
                    for x, weights in zip(
                        loaded[where, run if border else 0], operands, strict=True
                    ):
                        for n, w in enumerate(weights):
                            slot = j * _PAIR + n
                            store(acc, slot, dsp.dot_pairs(acc[slot], x, w))

        if plan.loops == 1:
            visit(i32(0))
        else:
            with T.serial(plan.loops) as loop:
                visit(loop)

    def _operands(self, at: Any) -> tuple[tuple[Any, Any], tuple[Any, Any]]:
        """Load what the even and the odd bytes of a word meet, for the two sums of a position."""
        first, second = T.Bind(self.weights[at]), T.Bind(self.weights[at + 1])
        if self.shared:
            return (dsp.even_bytes(first), first), (dsp.even_bytes(second), second)
        even = dsp.even_bytes(first), dsp.even_bytes(second)
        return even, (dsp.odd_bytes(first), dsp.odd_bytes(second))

    def _border_word(self, start: Any, at: Any, run: Any) -> Any:
        """Load a word whose bytes before or after the input read as the zero point."""
        shape = self.shape
        size = shape.length * shape.c_in
        zero_points = np.full(dsp.WORD, self.layer.x.zero_point, np.int8)
        filling = i32(int(zero_points.view(np.int32)[0]))
        whole = T.And(at >= 0, at <= i32(size - dsp.WORD))
        touched = T.And(at > -dsp.WORD, at < size)
        if self.runs.number > 1:
            t = start + run * i32(shape.dilation)
            touched = T.And(t >= 0, t < shape.length)
        if shape.c_in % dsp.WORD == 0 and shape.group_in % dsp.WORD == 0:
            within = touched if self.runs.number > 1 else whole
            return T.Bind(T.if_then_else(within, dsp.load_word(self.data, at), filling))
        parts = T.if_then_else(whole, dsp.load_word(self.data, at), self._border_bytes(at, size))
        return T.Bind(T.if_then_else(touched, parts, filling))

    def _border_bytes(self, at: Any, size: int) -> Any:
        """Load a word byte by byte."""
        zero_point = T.int8(self.layer.x.zero_point)
        word = i32(0)
        for i in range(dsp.WORD):
            here = T.And(at + i >= 0, at + i < size)
            value = T.Cast("int32", T.if_then_else(here, self.data[at + i], zero_point))
            # The last byte keeps its sign: TVM refuses constants that leave int32.
            byte = value if i == dsp.WORD - 1 else value & i32(0xFF)
            word = word | (byte << i32(8 * i))
        return word
