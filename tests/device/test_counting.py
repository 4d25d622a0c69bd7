"""Ticks to instructions, and the two counts against each other."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecgexp.deploy.runner.counting import (
    Region,
    cross_check,
    read_regions,
    ticks_to_instructions,
)
from ecgexp.deploy.runner.protocol import Answer, Report
from ecgexp.deploy.runner.symbols import sum_by_function
from ecgexp.errors import RunnerError


def _report(*ticks: int) -> Report:
    answers = tuple(
        Answer(index=i, label="N", class_index=0, confidence=1.0, ticks=t, outputs=b"")
        for i, t in enumerate(ticks)
    )
    return Report(
        timer="system_counter",
        ticks_hz=32_000_000,
        overhead_ticks=590,
        answers=answers,
        stack_bytes=0,
    )


def _region(instructions: int) -> Region:
    return Region(instructions=instructions, cycles_est=1, mix={})


@given(st.integers(0, 10**10), st.floats(0, 1), st.floats(-1, 1))
def test_conversion_undoes_the_counter(instructions: int, phase: float, jitter: float) -> None:
    ticks = int(instructions * 32.768 + phase + jitter)
    assert ticks_to_instructions(ticks, 32_000_000) == instructions


def test_equal_counts_pass() -> None:
    assert cross_check(_report(24543, 24544), (_region(731), _region(731))) == (731, 731)


def test_different_counts_are_refused() -> None:
    with pytest.raises(RunnerError, match="731 instructions by the board's counter but 800 by"):
        cross_check(_report(24543), (_region(800),))


def test_a_missing_region_is_refused() -> None:
    with pytest.raises(RunnerError, match="saw 1 inferences, the firmware reported 2"):
        cross_check(_report(24543, 24543), (_region(731),))


def test_only_inferences_are_read(tmp_path: Path) -> None:
    path = tmp_path / "regions.jsonl"
    entries = [
        {"region": 1, "instructions": 0, "cycles_est": 0, "mix": {}},
        {"region": 0, "instructions": 5, "cycles_est": 7, "mix": {"scalar": 5}},
    ]
    path.write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    assert read_regions(path) == (Region(instructions=5, cycles_est=7, mix={"scalar": 5}),)


@pytest.mark.parametrize("text", [None, "{", '{"region": 0}', "[1]"])
def test_broken_counts_are_refused(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "regions.jsonl"
    if text is not None:
        path.write_text(text)
    with pytest.raises(RunnerError, match=r"regions.jsonl cannot be read"):
        read_regions(path)


def test_blocks_are_summed_per_function(tmp_path: Path) -> None:
    path = tmp_path / "blocks.jsonl"
    blocks = [(0x104, 10, 20), (0x1FE, 1, 1), (0x200, 5, 50), (0x10, 1, 2)]
    path.write_text(
        "".join(
            json.dumps({"address": a, "instructions": i, "cycles_est": c}) + "\n"
            for a, i, c in blocks
        )
    )
    symbols = "00000101 T conv\n00000120 t $d\n00000201 t dense\n00000300 d data\n"
    costs = sum_by_function(path, symbols, estimates_cycles=True)
    assert [(c.function, c.instructions, c.cycles_est) for c in costs] == [
        ("dense", 5, 50),
        ("conv", 11, 21),
        ("unknown", 1, 2),
    ]
