"""The best schedule is kept, what was measured is kept, and the rule is near the best."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from ecgexp.deploy import measure, tune
from ecgexp.deploy.kernels import Kernel, QParams, conv1d
from ecgexp.deploy.kernels.conv_schedule import choose, schedules
from ecgexp.deploy.kernels.conv_shape import ONE_ROW, Axis, ConvShape
from ecgexp.deploy.kernels.weights import Weights
from ecgexp.deploy.kernels.window import Window
from ecgexp.deploy.measure import Candidate, Cost
from ecgexp.deploy.preflight import require_measurable
from ecgexp.deploy.program import Program, ProgramBuilder
from ecgexp.deploy.tune import CostCache, Tuner, fastest
from ecgexp.errors import ConfigError
from tests.deploy.conftest import load_target

M55 = load_target("corstone300_m55")
# Worst excess of the rule's choice over the measured best.
TOLERANCE = 0.10


class Layer(NamedTuple):
    """A convolution; with `rows`, over as many rows as samples."""

    length: int
    c_in: int
    c_out: int
    kernel: int
    stride: int = 1
    dilation: int = 1
    groups: int = 1
    pooled: int = 0
    rows: bool = False

    def build(self) -> Kernel:
        reach = (self.kernel - 1) * self.dilation
        axis = Axis(
            length=self.length,
            kernel=self.kernel,
            stride=self.stride,
            dilation=self.dilation,
            pads=(reach // 2, reach - reach // 2),
        )
        shape = ConvShape(
            **asdict(axis),
            c_in=self.c_in,
            c_out=self.c_out,
            groups=self.groups,
            rows=axis if self.rows else ONE_ROW,
        )
        weights = Weights(
            weight=np.ones((self.c_out, shape.group_in, shape.taps), np.int8),
            x=QParams(0.1, 3),
            w_scale=np.full(self.c_out, 0.01, np.float32),
            y=QParams(0.2, 5),
        )
        kernel = conv1d.build(isa="mve", shape=shape, weights=weights)
        if not self.pooled:
            return kernel
        assert kernel.pooled is not None
        window = Window(shape.length_out, self.c_out, self.pooled, self.pooled, (0, 0))
        together = kernel.pooled(window)
        assert together is not None
        return together


# Most of them are layers of bench networks.
LAYERS = (
    Layer(800, 1, 24, 9, stride=2),
    Layer(200, 24, 24, 1),
    Layer(100, 32, 48, 1),
    Layer(13, 64, 80, 1),
    Layer(7, 80, 96, 1),
    Layer(57, 32, 64, 3),
    Layer(64, 32, 6, 1),
    Layer(64, 16, 16, 3, dilation=4),
    Layer(64, 24, 24, 3, groups=2),
    Layer(64, 24, 24, 9, groups=24),
    Layer(64, 24, 24, 3, groups=24),
    Layer(64, 16, 16, 3, dilation=4, groups=16),
    Layer(64, 16, 16, 5, stride=2, groups=16),
    Layer(64, 8, 8, 3, groups=8, pooled=2),
    Layer(60, 16, 24, 5, pooled=4),
    Layer(12, 1, 8, 3, rows=True),
    Layer(8, 24, 16, 3, rows=True),
    Layer(9, 32, 16, 3, stride=2, rows=True),
    Layer(8, 24, 24, 3, groups=24, rows=True),
)


def _program(layers: Sequence[Layer]) -> Program:
    builder = ProgramBuilder()
    source = builder.buffer(1, "int8")
    for layer in layers:
        kernel = layer.build()
        sizes = {p.name: int(p.shape[0]) for p in kernel.func.params}
        held, result = (builder.buffer(sizes[name], "int8") for name in ("data", "out"))
        builder.call(kernel, (held,), result, str(layer))
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
    program = _program((LAYERS[1], LAYERS[2], LAYERS[1]))
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
    program = _program(LAYERS[1:4])
    with pytest.raises(KeyboardInterrupt):
        tuner.tune(program, tmp_path)
    monkeypatch.setattr(measure, "run", finished)
    tuner.tune(program, tmp_path)
    names = [name for batch in asked for name in batch]
    assert len(names) == sum(len(step.kernel.variants.build) for step in program.steps)


def test_a_cost_is_kept_per_core_and_a_broken_file_counts_for_nothing(tmp_path: Path) -> None:
    step = _program(LAYERS[1:2]).steps[0]
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


_CHILD = """
import sys
from pathlib import Path
from ecgexp.deploy import tune
from tests.deploy.test_tune import LAYERS, M55, _program
tune._BATCH = 1
tune.os.sched_getaffinity = lambda _: {0}
folder = Path(sys.argv[1])
tuner = tune.Tuner(target=M55, cache_folder=folder / "cache", timeout_s=120.0)
tuner.tune(_program(LAYERS[1:2]), folder)
"""


@pytest.mark.device
@pytest.mark.usefixtures("need_device")
def test_a_real_interrupt_keeps_what_was_measured(tmp_path: Path) -> None:
    def start() -> subprocess.Popen[bytes]:
        # A group of its own, as a terminal's foreground job: Ctrl-C reaches all of it.
        return subprocess.Popen(
            [sys.executable, "-c", _CHILD, str(tmp_path)],
            start_new_session=True,
            stderr=subprocess.DEVNULL,
        )

    def kept() -> dict[Path, int]:
        files = (tmp_path / "cache" / "schedules").glob("*")
        return {path: path.stat().st_mtime_ns for path in files if path.suffix == ".json"}

    schedules_of = LAYERS[1].build().variants
    assert schedules_of is not None
    child = start()
    deadline = time.monotonic() + 100
    while not kept() and child.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(child.pid, signal.SIGINT)
    assert child.wait(timeout=100) != 0, "the interrupt came too late to be one"
    before = kept()
    assert 0 < len(before) < len(schedules_of.build)
    assert {path.suffix for path in (tmp_path / "cache" / "schedules").iterdir()} == {".json"}
    assert not (tmp_path / "schedules.csv").exists()
    assert start().wait(timeout=100) == 0
    after = kept()
    assert len(after) == len(schedules_of.build)
    assert {path: after[path] for path in before} == before, "measured twice"
    assert (tmp_path / "schedules.csv").is_file()


@pytest.mark.device
@pytest.mark.usefixtures("need_device")
def test_the_rule_is_near_the_measured_best(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tuner = Tuner(target=M55, cache_folder=tmp_path / "cache", timeout_s=120.0)
    layers = tune.distinct_layers(_program(LAYERS))
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
                f"\n{layer:52} rule {chosen:13} {rule:7,} best {best:13} {least:7,} "
                f"{100 * excess[layer]:+5.1f} %"
            )
    assert len(excess) == len(LAYERS)
    assert {layer: e for layer, e in excess.items() if e > TOLERANCE} == {}
