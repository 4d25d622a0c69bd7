"""Instruction counts of the bench networks do not rise unnoticed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench.device import RECORDED, read_recorded
from tests.bench.device_cases import CASES, Case
from tests.bench.device_run import run_case

MOST_RISE = 0.01
UPDATE = (
    f"If that is meant, run `python -m tests.bench.device --record` and commit {RECORDED.name} "
    "with the reason"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bench")


def _label(case: Case) -> str:
    return f"{case.target}-{case.name}"


def test_every_bench_network_has_a_recorded_count() -> None:
    recorded = {(target, name) for target, cases in read_recorded().items() for name in cases}
    assert recorded == {(case.target, case.name) for case in CASES}, UPDATE


@pytest.mark.slow
@pytest.mark.device
@pytest.mark.usefixtures("need_tools")
@pytest.mark.parametrize("case", CASES, ids=_label)
def test_counts_stay_within_one_percent_of_the_recorded_ones(
    case: Case, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ECGEXP_HOME", str(folder / "home"))
    recorded = read_recorded()[case.target][case.name]
    outcome = run_case(case, folder)
    assert outcome.golden_equal == 1.0
    for figure, value in (
        ("instructions", outcome.instructions),
        ("cycles_est", outcome.cycles_est),
    ):
        before = recorded[figure]
        assert (value is None) == (before is None)
        if value is not None and before is not None:
            rise = value / before - 1
            message = f"{_label(case)}: {figure} rose by {100 * rise:.1f} % to {value}. {UPDATE}"
            assert rise <= MOST_RISE, message
