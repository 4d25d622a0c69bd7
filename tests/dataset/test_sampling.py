"""Which windows an epoch draws, excerpts of them, and one answer per recording."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from ecgexp.dataset.sampling import Sampling
from ecgexp.dataset.units import mean_by_unit, one_row_each, units_of
from ecgexp.dataset.windows import WindowSet
from ecgexp.errors import ConfigError
from ecgexp.types import SignalSpec

Make = Callable[..., Any]


def windows(n_of_record: dict[str, int], y_of_record: dict[str, int]) -> WindowSet:
    record = np.repeat(list(n_of_record), list(n_of_record.values()))
    n = len(record)
    return WindowSet(
        x=np.arange(n * 20, dtype=np.float32).reshape(n, 1, 20),
        y=np.array([y_of_record[name] for name in record]),
        patient=np.char.add("p", record),
        record=record,
        start=np.arange(n),
    )


SOME = windows({"a": 5, "b": 1, "c": 3}, {"a": 0, "b": 1, "c": 0})
SPEC = SignalSpec(fs_hz=10.0, leads=("II",), n_samples=20, labels=("N", "A"))


def draw(kind: str, draws: int | None, epoch: int = 0) -> list[int]:
    sampling = Sampling(kind=kind, draws=draws, crop_s=None)  # type: ignore[arg-type]
    order = sampling.order(SOME, np.random.default_rng((7, epoch)))
    assert len(order) == sampling.size(SOME)
    return order.tolist()


def test_every_window_once() -> None:
    assert sorted(draw("every", None)) == list(range(9))


@pytest.mark.parametrize(("draws", "each"), [(2, 2), (None, 3)])
def test_patients_give_the_same_number(draws: int | None, each: int) -> None:
    order = draw("patient", draws)
    assert sorted(SOME.record[order]) == sorted("abc" * each)
    from_a = [index for index in order if index < 5]
    assert len(set(from_a)) == each  # none twice while there are others


@pytest.mark.parametrize(("draws", "each"), [(4, 4), (None, 5)])
def test_classes_give_the_same_number(draws: int | None, each: int) -> None:
    assert np.bincount(SOME.y[draw("class", draws)]).tolist() == [each, each]


@pytest.mark.parametrize("kind", ["every", "patient", "class"])
def test_epochs_differ_and_come_again(kind: str) -> None:
    assert draw(kind, None, 1) == draw(kind, None, 1)
    assert draw(kind, None, 1) != draw(kind, None, 2)


def test_over_epochs_a_patient_shows_all_windows() -> None:
    seen = {index for epoch in range(60) for index in draw("patient", 1, epoch)}
    assert seen == set(range(9))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "patients"}, r"dataset\.sampling\.kind='patients': choose one of every, patient"),
        ({"draws": 0, "kind": "class"}, r"dataset\.sampling\.draws=0: use null, or at least 1"),
        ({"draws": 2}, r"draws=2: use null, or at least 1 with dataset\.sampling\.kind=patient"),
        ({"crop_s": 0.0}, r"dataset\.sampling\.crop_s=0 must be positive or null"),
    ],
)
def test_a_wrong_sampling_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Sampling(**({"kind": "every", "draws": None, "crop_s": None} | changes))


def test_an_excerpt_is_a_part_of_its_own_window() -> None:
    sampling = Sampling(kind="every", draws=None, crop_s=0.7)
    x = sampling.crop(SOME.x, SPEC, np.random.default_rng(0))
    assert x.shape == (9, 1, 7)
    first = x[:, 0, 0] - SOME.x[:, 0, 0]
    np.testing.assert_array_equal(x[:, 0], SOME.x[:, 0, 0, None] + first[:, None] + np.arange(7))
    places = [
        sampling.crop(SOME.x, SPEC, np.random.default_rng(seed))[0, 0, 0] for seed in range(200)
    ]
    assert set(places) == set(range(14))  # the first and the last place too


def test_an_excerpt_cannot_be_longer_than_the_window() -> None:
    sampling = Sampling(kind="every", draws=None, crop_s=2.1)
    with pytest.raises(ConfigError, match=r"crop_s=2\.1: 21 samples out of windows of 20; use"):
        sampling.check(SPEC)


@pytest.mark.parametrize(
    ("changes", "kind", "crop_s", "message"),
    [
        ({"several": True}, "class", None, r"kind=class: a window can have several of the classes"),
        ({"n_rows": 8}, "every", 1.0, r"crop_s=1: windows are images or hold features; use null"),
        ({"features": ("rr",)}, "every", 1.0, r"crop_s=1: windows are images or hold features"),
    ],
)
def test_a_sampling_that_windows_do_not_allow(
    changes: dict[str, Any], kind: Any, crop_s: float | None, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        Sampling(kind=kind, draws=None, crop_s=crop_s).check(replace(SPEC, **changes))


def test_training_sees_excerpts_and_validation_the_whole(synthetic: Make) -> None:
    data = synthetic(sampling=Sampling(kind="patient", draws=1, crop_s=2.0))
    again = synthetic(sampling=Sampling(kind="patient", draws=1, crop_s=2.0))
    batches, same = list(data.train_dataloader()), list(again.train_dataloader())
    n_patients = len(set(data.split("train").patient))
    assert sum(len(y) for _, y in batches) == n_patients
    for (x, _), (other, _) in zip(batches, same, strict=True):
        assert x.shape[1:] == (1, 200)
        torch.testing.assert_close(x, other, rtol=0, atol=0)
    assert next(iter(data.val_dataloader()))[0].shape[1:] == (1, 1000)


def test_a_resumed_fit_goes_on_with_the_next_epoch(synthetic: Make) -> None:
    kind = {"sampling": Sampling(kind="class", draws=5, crop_s=2.0)}
    loader = synthetic(**kind).train_dataloader()
    loader.sampler.set_epoch(3)
    resumed = synthetic(**kind)
    resumed.load_state_dict({"epochs_done": 3})
    for (x, y), (other, labels) in zip(loader, resumed.train_dataloader(), strict=True):
        torch.testing.assert_close(x, other, rtol=0, atol=0)
        assert y.tolist() == labels.tolist()


def test_a_recording_has_one_answer() -> None:
    units = units_of(SOME, "record")
    assert units is not None
    assert units.tolist() == [0] * 5 + [1] + [2] * 3
    logits = np.random.default_rng(0).normal(size=(9, 2)).astype(np.float32)
    expected = [logits[:5].mean(0), logits[5], logits[6:].mean(0)]
    np.testing.assert_allclose(mean_by_unit(logits, units), expected, atol=1e-6)
    rows = one_row_each(SOME, units)
    assert rows.record.tolist() == ["a", "b", "c"]
    assert (rows.y.tolist(), rows.start.tolist()) == ([0, 1, 0], [0, 5, 6])
    np.testing.assert_array_equal(rows.x, SOME.x[[0, 5, 6]])


def test_units_follow_the_order_of_the_windows() -> None:
    units = units_of(windows({"z": 1, "a": 2}, {"z": 0, "a": 1}), "record")
    assert units is not None
    assert units.tolist() == [0, 1, 1]


def test_a_window_can_be_its_own_answer() -> None:
    assert units_of(SOME, "window") is None
    logits = np.zeros((9, 2), dtype=np.float32)
    assert mean_by_unit(logits, None) is logits
    assert one_row_each(SOME, None) is SOME


def test_a_recording_of_two_classes_has_no_one_answer() -> None:
    mixed = WindowSet(
        x=SOME.x, y=np.arange(9), patient=SOME.patient, record=SOME.record, start=SOME.start
    )
    message = r"judged_by=record: windows of record a differ in class; use .*judged_by=window"
    with pytest.raises(ConfigError, match=message):
        units_of(mixed, "record")


def test_the_data_module_judges_as_configured(synthetic: Make) -> None:
    data = synthetic(judged_by="record")
    val = data.split("val")
    rows, logits = data.judge("val", np.eye(4, dtype=np.float32)[val.y])
    assert len(rows) == len(logits) == len(set(val.record)) < len(val)
    np.testing.assert_array_equal(logits.argmax(1), rows.y)
    with pytest.raises(ConfigError, match=r"judged_by='patient': choose one of window, record"):
        synthetic(judged_by="patient")
