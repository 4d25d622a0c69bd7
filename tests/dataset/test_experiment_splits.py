"""The splits of the experiments on real recordings: who leaks says so, who does not, does not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ecgexp.config.build import build
from ecgexp.config.compose import compose
from ecgexp.dataset.windows import SPLITS, Plan

pytestmark = pytest.mark.data

BEATS = ("experiment=thesis_cwt",)
PATIENTS = ("dataset.protocol=by_patient", "dataset.fold=null")
HONEST = {
    "thesis_cwt": (*BEATS, "dataset.task=morphology", *PATIENTS),
    "thesis_cwt, five": (
        *BEATS,
        "dataset.task=morphology",
        "dataset.tasks.morphology.labels=[N,L,R,V,paced]",
        *PATIENTS,
    ),
    "avh_7class": ("experiment=avh_7class", *PATIENTS),
}
LEAKING = {"thesis_cwt": BEATS, "avh_7class": ("experiment=avh_7class",)}


@pytest.fixture
def planned(real_data: Callable[[str], Path], tmp_path: Path) -> Callable[..., Plan]:
    def make(overrides: tuple[str, ...]) -> Plan:
        config = compose("config", list(overrides)).config
        data: Any = build(
            config["dataset"],
            path="dataset",
            chain=build(config["preprocessing"], path="preprocessing"),
            data_dir=real_data("mitdb"),
            cache_dir=tmp_path,
            seed=0,
        )
        plan: Plan = data.source.plan()
        return plan

    return make


@pytest.mark.parametrize("name", HONEST)
def test_no_patient_is_on_two_sides(planned: Callable[..., Plan], name: str) -> None:
    plan = planned(HONEST[name])
    patients, split = np.array(plan.patients)[plan.record], plan.split_of_window()
    sides = [set(patients[split == number]) for number in range(len(SPLITS))]
    assert not plan.leaks
    assert min(map(len, sides)) >= 3
    assert sum(map(len, sides)) == len(set().union(*sides))


@pytest.mark.parametrize("name", LEAKING)
def test_who_leaks_says_so(planned: Callable[..., Plan], name: str) -> None:
    plan = planned(LEAKING[name])
    assert plan.leaks
    assert plan.caveat.startswith("THIS PROTOCOL LEAKS: windows of one recording lie on all sides")
    shares = [sum(plan.class_counts(split)) / len(plan.y) for split in SPLITS]
    assert shares == pytest.approx([0.8, 0.1, 0.1], abs=0.002)


def test_a_test_recording_decides_nothing_that_is_fitted(planned: Callable[..., Plan]) -> None:
    """Neither split nor training windows change when the test records lose their annotations."""
    whole = planned(HONEST["thesis_cwt"])
    fewer = planned((*HONEST["thesis_cwt"], "dataset.tasks.morphology.test_records=[100,232]"))

    def fitted(plan: Plan) -> list[tuple[str, str, int]]:
        split = plan.split_of_window()
        return [
            (SPLITS[split[i]], plan.records[plan.record[i]], int(plan.start[i]))
            for i in np.flatnonzero(split < SPLITS.index("test"))
        ]

    assert fitted(whole) == fitted(fewer)
