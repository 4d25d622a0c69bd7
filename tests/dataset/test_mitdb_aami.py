"""The experiment mitdb_aami on the real database: who trains, and where its constants come from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ecgexp.config.build import build
from ecgexp.config.compose import compose
from ecgexp.dataset.windows import SPLITS, cut

pytestmark = pytest.mark.data

DS2 = {"N": 44259, "S": 1837, "V": 3221, "F": 388}


@pytest.fixture
def data(real_data: Callable[[str], Path], tmp_path: Path) -> Any:
    config = compose("config", ["experiment=mitdb_aami"]).config
    return build(
        config["dataset"],
        path="dataset",
        chain=build(config["preprocessing"], path="preprocessing"),
        data_dir=real_data("mitdb"),
        cache_dir=tmp_path,
        seed=0,
    )


def test_no_patient_is_on_two_sides(data: Any) -> None:
    plan = data.source.plan()
    assert not plan.leaks
    assert "201" not in plan.records
    patients, split = np.array(plan.patients)[plan.record], plan.split_of_window()
    train, val, test = (set(patients[split == number]) for number in range(len(SPLITS)))
    assert (len(train), len(val), len(test)) == (20, 1, 22)
    assert not train & val
    assert not test & (train | val)
    simulated = [name for name in plan.records if "~" in name]
    assert {name.split("~")[0] for name in simulated} <= train
    assert dict(zip(plan.labels, plan.class_counts("test"), strict=True)) == DS2


@pytest.mark.slow
def test_constants_are_those_of_the_training_records(data: Any) -> None:
    source, chain = (
        data.source,
        build(
            compose("config", ["experiment=mitdb_aami"]).config["preprocessing"],
            path="preprocessing",
        ),
    )
    cutter = source.plan().cutter
    measured: dict[str, list[np.ndarray]] = {}
    records = compose("config", ["dataset=mitdb"]).config["dataset"]["tasks"]["beat"]
    for record in map(str, records["train_records"]):
        x, fs_hz = chain.apply_record(source.signal(record), 360.0)
        start = cutter.beats[record].start
        beats = cut(x, np.round(start / 3).astype(np.int64), 84, "edge")[:, 0]
        found = cutter.context.measure(beats, start / 360.0, fs_hz=fs_hz, before_s=0.3)
        for name, values in found.items():
            measured.setdefault(name, []).append(values)
    assert set(measured) == set(cutter.context.features)
    for name, (centre, spread) in cutter.context.features.items():
        values = np.concatenate(measured[name])
        usual = np.clip(values, *np.quantile(values, [0.002, 0.998]))
        assert centre == pytest.approx(np.median(values), abs=0.02), name
        assert spread == pytest.approx(usual.std(), rel=0.08), name
