from __future__ import annotations

from itertools import combinations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ecgexp.deploy.kernels import Kernel
from ecgexp.deploy.memory import (
    ALIGNMENT,
    Interval,
    explain_excess,
    live_bytes,
    place,
    plan_arena,
)
from ecgexp.deploy.program import Buffer, Program, Step

INTERVALS = st.lists(
    st.builds(
        lambda n_bytes, first, length: Interval(n_bytes=n_bytes, first=first, last=first + length),
        st.integers(1, 5000),
        st.integers(0, 30),
        st.integers(0, 10),
    ),
    max_size=25,
)


@given(INTERVALS)
@settings(max_examples=150, deadline=None)
def test_live_tensors_never_overlap_and_no_plan_beats_the_lower_bound(
    intervals: list[Interval],
) -> None:
    offsets = place(intervals, seed=0, rounds=20)

    assert all(offset % ALIGNMENT == 0 and offset >= 0 for offset in offsets)
    for (a, at), (b, bt) in combinations(zip(intervals, offsets, strict=True), 2):
        if a.first <= b.last and b.first <= a.last:
            assert at + a.n_bytes <= bt or bt + b.n_bytes <= at
    sizes = [-(-i.n_bytes // ALIGNMENT) * ALIGNMENT for i in intervals]
    peak = max((o + size for o, size in zip(offsets, sizes, strict=True)), default=0)
    assert live_bytes(intervals) <= peak <= sum(sizes)


def test_lower_bound_by_hand() -> None:
    intervals = [
        Interval(n_bytes=100, first=0, last=1),
        Interval(n_bytes=50, first=1, last=2),
        Interval(n_bytes=112, first=2, last=3),
    ]
    assert live_bytes(intervals) == 112 + 64
    offsets = place(intervals, seed=0, rounds=50)
    assert max(o + i.n_bytes for o, i in zip(offsets, intervals, strict=True)) <= 176


def test_a_plan_over_the_bound_names_the_tensor_that_does_not_fit() -> None:
    intervals = [
        Interval(n_bytes=160, first=0, last=1),
        Interval(n_bytes=320, first=1, last=2),
        Interval(n_bytes=160, first=2, last=3),
    ]
    origins = ["Conv a", "Conv b", "Add c", "Gemm d"]
    assert explain_excess(intervals, [0, 160, 0], origins) == ""
    reason = explain_excess(intervals, [0, 160, 480], origins)
    assert "packs 3 tensors tighter: the 160 bytes of step 2 (Add c), needed until step 3" in reason
    assert "gaps of 160 bytes" in reason


def test_hill_climbing_reaches_a_bound_that_first_fit_misses() -> None:
    generator = np.random.default_rng(0)
    improved = 0
    for _ in range(60):
        intervals = [
            Interval(n_bytes=int(n) * 16, first=int(f), last=int(f + d))
            for n, f, d in zip(
                generator.integers(1, 40, 9),
                generator.integers(0, 8, 9),
                generator.integers(0, 4, 9),
                strict=True,
            )
        ]

        def peak(rounds: int, intervals: list[Interval] = intervals) -> int:
            offsets = place(intervals, seed=1, rounds=rounds)
            return max(o + i.n_bytes for o, i in zip(offsets, intervals, strict=True))

        assert live_bytes(intervals) <= peak(300) <= peak(0)
        improved += peak(300) < peak(0)
    assert improved > 0


def _program(*steps: Step, output: Buffer, source: Buffer) -> Program:
    return Program(
        input=source,
        output=output,
        steps=steps,
        input_qparams=None,
        output_qparams=None,
        output_is_probability=False,
        float_ops=(),
        quantized=False,
    )


def _step(output: Buffer, *inputs: Buffer, in_place: bool = False) -> Step:
    kernel = Kernel("k", None, (), 0, in_place)
    return Step(symbol="k", kernel=kernel, inputs=inputs, output=output, origin="")


def _buffers(*sizes: int) -> list[Buffer]:
    return [Buffer(index=i, elements=size, dtype="int8") for i, size in enumerate(sizes)]


def test_in_place_kernel_overwrites_an_operand_that_nobody_needs_again() -> None:
    x, a, b, y = _buffers(64, 640, 640, 4)
    chain = (_step(a, x), _step(b, a, in_place=True), _step(y, b))
    arena = plan_arena(_program(*chain, output=y, source=x))
    assert arena.offsets[a.index] == arena.offsets[b.index]
    assert arena.n_bytes == arena.lower_bound == 640


def test_in_place_kernel_spares_an_operand_that_is_read_later() -> None:
    x, a, b, y = _buffers(64, 640, 640, 4)
    chain = (_step(a, x), _step(b, a, in_place=True), _step(y, b, a))
    arena = plan_arena(_program(*chain, output=y, source=x))
    assert arena.offsets[a.index] != arena.offsets[b.index]
    assert arena.n_bytes == 1280


def test_in_place_kernel_never_overwrites_the_callers_input() -> None:
    x, a, y = _buffers(640, 640, 4)
    arena = plan_arena(_program(_step(a, x, in_place=True), _step(y, a), output=y, source=x))
    assert set(arena.offsets) == {a.index}


def test_one_seed_gives_one_plan() -> None:
    intervals = [Interval(n_bytes=16 * (7 * i % 11 + 1), first=i, last=i + 3) for i in range(12)]
    assert place(intervals, seed=5, rounds=80) == place(intervals, seed=5, rounds=80)
