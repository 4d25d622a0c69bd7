"""The best schedule is kept, what was measured is kept, and the rule is near the best."""

from __future__ import annotations

import csv
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ecgexp.deploy import measure, tune
from ecgexp.deploy.kernels import Kernel, QParams, conv1d
from ecgexp.deploy.kernels.conv_schedule import choose, schedules
from ecgexp.deploy.kernels.conv_shape import ConvShape
from ecgexp.deploy.kernels.weights import Weights
from ecgexp.deploy.measure import Candidate, Cost
from ecgexp.deploy.preflight import require_measurable
from ecgexp.deploy.program import Program, ProgramBuilder
from ecgexp.deploy.tune import CostCache, Tuner, fastest
from ecgexp.errors import ConfigError
from tests.deploy.conftest import load_target

M55 = load_target("corstone300_m55")
# Worst excess of the rule's choice over the measured best.
TOLERANCE = 0.10
# (length, c_in, c_out, kernel, stride, dilation, groups), most of them layers of bench networks.
SHAPES = (
    (800, 1, 24, 9, 2, 1, 1),
    (200, 24, 24, 1, 1, 1, 1),
    (100, 32, 48, 1, 1, 1, 1),
    (13, 64, 80, 1, 1, 1, 1),
    (7, 80, 96, 1, 1, 1, 1),
    (57, 32, 64, 3, 1, 1, 1),
    (64, 32, 6, 1, 1, 1, 1),
    (64, 40, 24, 7, 1, 1, 1),
    (64, 16, 16, 3, 1, 4, 1),
    (64, 24, 24, 3, 1, 1, 2),
)


def _conv(shape: tuple[int, ...]) -> Kernel:
    length, c_in, c_out, kernel, stride, dilation, groups = shape
    reach = (kernel - 1) * dilation
    rng = np.random.default_rng(3)
    return conv1d.build(
        isa="mve",
        shape=ConvShape(
            length=length,
            c_in=c_in,
            c_out=c_out,
            kernel=kernel,
            stride=stride,
            dilation=dilation,
            pads=(reach // 2, reach - reach // 2),
            groups=groups,
        ),
        weights=Weights(
            weight=rng.integers(-127, 128, (c_out, c_in // groups, kernel)).astype(np.int8),
            x=QParams(0.1, 3),
            w_scale=np.full(c_out, 0.01, np.float32),
            y=QParams(0.2, 5),
        ),
    )


def _program(shapes: tuple[tuple[int, ...], ...]) -> Program:
    builder = ProgramBuilder()
    source = builder.buffer(1, "int8")
    for shape in shapes:
        kernel = _conv(shape)
        elements = ((shape[0] - 1) // shape[4] + 1) * shape[2]
        held = builder.buffer(shape[0] * shape[1], "int8")
        builder.call(kernel, (held,), builder.buffer(elements, "int8"), str(shape))
    return Program(
        input=source,
        output=builder.steps[-1].output,
        steps=tuple(builder.steps),
        input_qparams=None,
        output_qparams=None,
        output_is_probability=False,
        float_ops=(),
        quantized=True,
    )


def _fake_costs(monkeypatch: pytest.MonkeyPatch, best: str) -> list[list[str]]:
    """Replace the emulator; returns what it was asked to measure."""
    asked: list[list[str]] = []

    def run(candidates: Any, *_: Any, **__: Any) -> list[Cost]:
        asked.append([c.schedule for c in candidates])
        return [
            Cost(instructions=10, cycles_est=90 if c.schedule == best else 100) for c in candidates
        ]

    monkeypatch.setattr(measure, "run", run)
    return asked


def _shape(length: int, c_in: int, c_out: int, kernel: int) -> ConvShape:
    return ConvShape(
        length=length,
        c_in=c_in,
        c_out=c_out,
        kernel=kernel,
        stride=1,
        dilation=1,
        pads=(0, 0),
        groups=1,
    )


@pytest.mark.parametrize(
    ("shape", "name"),
    [
        (_shape(200, 24, 24, 1), "2x4_unrolled"),
        (_shape(200, 16, 24, 9), "4x2_unrolled"),
        (_shape(200, 24, 5, 1), "4x2_unrolled"),
        (_shape(200, 64, 64, 9), "4x2_slices"),
        (_shape(3, 24, 5, 1), "2x4_unrolled"),
    ],
)
def test_the_rule_chooses_one_of_the_schedules(shape: ConvShape, name: str) -> None:
    assert choose(shape).name == name
    names = [schedule.name for schedule in schedules(shape)]
    assert name in names
    assert len(set(names)) == len(names)


def test_the_fewest_cycles_win_and_ties_stay_with_the_rule() -> None:
    costs = {
        "a": Cost(instructions=5, cycles_est=9),
        "b": Cost(instructions=4, cycles_est=9),
        "c": Cost(instructions=4, cycles_est=9),
        "d": Cost(instructions=1, cycles_est=10),
    }
    assert fastest(costs, "c") == "c"
    assert fastest(costs, "d") == "b"


@pytest.mark.parametrize("name", ["host", "cortex_m33", "cortex_m85", "corstone300_m55_fvp"])
def test_tuning_needs_estimated_cycles(name: str) -> None:
    with pytest.raises(ConfigError, match=rf"deploy\.tune=true .* target {name} .*tune=false"):
        require_measurable(load_target(name))


def test_the_best_kernels_replace_others_and_are_measured_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked = _fake_costs(monkeypatch, "1x4_unrolled")
    tuner = Tuner(target=M55, cache_folder=tmp_path / "cache", timeout_s=1.0)
    program = _program((SHAPES[1], SHAPES[2], SHAPES[1]))
    tuned = tuner.tune(program, tmp_path)
    assert [sorted(names) for names in asked] == [
        sorted(s for step in program.steps[:2] for s in step.kernel.variants.build)
    ]
    assert all(step.kernel.variants.chosen == "1x4_unrolled" for step in tuned.steps)
    assert tuned.steps[0].symbol == tuned.steps[2].symbol != tuned.steps[1].symbol
    with (tmp_path / "schedules.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert {row["schedule"] for row in rows if row["is_best"] == "True"} == {"1x4_unrolled"}
    tuner.tune(program, tmp_path)
    assert len(asked) == 1, "everything was known"


def test_an_interrupt_loses_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked = _fake_costs(monkeypatch, "none")
    finished = measure.run
    monkeypatch.setattr(tune, "_BATCH", 2)
    monkeypatch.setattr(tune.os, "sched_getaffinity", lambda _: {0})

    def interrupted(candidates: Any, *rest: Any, **options: Any) -> list[Cost]:
        if len(asked) == 2:
            raise KeyboardInterrupt
        return finished(candidates, *rest, **options)

    monkeypatch.setattr(measure, "run", interrupted)
    tuner = Tuner(target=M55, cache_folder=tmp_path / "cache", timeout_s=1.0)
    program = _program(SHAPES[1:4])
    with pytest.raises(KeyboardInterrupt):
        tuner.tune(program, tmp_path)
    monkeypatch.setattr(measure, "run", finished)
    tuner.tune(program, tmp_path)
    names = [name for batch in asked for name in batch]
    assert len(names) == sum(len(step.kernel.variants.build) for step in program.steps)


def test_a_cost_is_kept_per_core_and_a_broken_file_counts_for_nothing(tmp_path: Path) -> None:
    step = _program(SHAPES[1:2]).steps[0]
    candidate = Candidate(layer="l", schedule="s", build=lambda: step.kernel, step=step)
    cache = CostCache(folder=tmp_path, stamp=tune.source_stamp(M55))
    assert cache.read(candidate) is None
    cost = Cost(instructions=7, cycles_est=9)
    cache.write(candidate, cost)
    assert cache.read(candidate) == cost
    assert cache.read(replace(candidate, schedule="t")) is None
    other = CostCache(folder=tmp_path, stamp=tune.source_stamp(load_target("cortex_m33")))
    assert other.read(candidate) is None
    assert json.loads(cache.path(candidate).read_text())["layer"] == "l"
    cache.path(candidate).write_text('{"instructions": 7')
    assert cache.read(candidate) is None


@pytest.mark.device
@pytest.mark.usefixtures("need_device")
def test_the_rule_is_near_the_measured_best(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tuner = Tuner(target=M55, cache_folder=tmp_path / "cache", timeout_s=120.0)
    layers = tune.distinct_layers(_program(SHAPES))
    costs = tuner.costs(layers.values(), tmp_path)
    excess = {}
    with capsys.disabled():
        for layer, step in layers.items():
            measured = {s: costs[layer, s] for s in step.kernel.variants.build}
            chosen = step.kernel.variants.chosen
            best = fastest(measured, chosen)
            rule, least = measured[chosen].cycles_est, measured[best].cycles_est
            excess[layer] = rule / least - 1
            sys.stdout.write(
                f"\n{layer:38} rule {chosen:13} {rule:7,} best {best:13} {least:7,} "
                f"{100 * excess[layer]:+5.1f} %"
            )
    assert len(excess) == len(SHAPES)
    assert {layer: e for layer, e in excess.items() if e > TOLERANCE} == {}
