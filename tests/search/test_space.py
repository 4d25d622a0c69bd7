"""Spaces: every fault is named with its path before anything runs; what is drawn composes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import optuna
import pytest

from ecgexp.config.compose import compose
from ecgexp.errors import ConfigError
from ecgexp.search.check import check_space
from ecgexp.search.plan import check_objectives
from ecgexp.search.space import read_space, word
from tests.search.sleeper import plan

LR = {"key": "optimizer.optimizer.lr", "low": 0.001, "high": 0.1, "log": True}
FILTERS = "architecture.layers.filters"
OTHER = "efficientnetv2_1d"
KIND = {"key": "architecture", "choices": ["cnn_small", "efficientnetv2_1d"]}


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ({}, "search.space is empty"),
        ({"lr": {"low": 1}}, "search.space.lr: write {key: a.config.key"),
        ({"lr": {**LR, "hight": 1}}, "search.space.lr.hight: unknown; use high, key, log"),
        ({"lr": {**LR, "low": 0.2}}, "search.space.lr: low=0.2 is above high=0.1"),
        ({"lr": {**LR, "low": 0.1}}, "search.space.lr: low=high=0.1, an empty range"),
        ({"lr": {**LR, "low": 0.0}}, "search.space.lr.low=0.0: a logarithmic range begins above 0"),
        ({"lr": {**LR, "step": 0.01}}, "log and step exclude each other"),
        ({"lr": {**LR, "high": "much"}}, "search.space.lr.high='much': write a number"),
        (
            {"lr": {"key": "a.b", "low": 1, "high": 3, "step": 5}},
            "search.space.lr.step=5: write a number above 0 and up to 2",
        ),
        ({"a": {"key": "architecture", "choices": []}}, "search.space.a.choices=[]: the range is"),
        ({"a": {"key": "x", "choices": [1, 1]}}, "a value stands there twice"),
        (
            {"k": KIND, "lr": {**LR, "when": {"kind": "cnn_small"}}},
            "search.space.lr.when.kind: no parameter of the space has this name; there are k",
        ),
        (
            {"k": KIND, "lr": {**LR, "when": {"k": "tcn"}}},
            "search.space.lr.when.k='tcn': search.space.k.choices does not have this value",
        ),
        (
            {"lr": LR, "x": {"key": "a", "choices": [1], "when": {"lr": 0.1}}},
            "search.space.x.when.lr: a condition needs a parameter with choices",
        ),
        (
            {
                "a": {"key": "a", "choices": [1], "when": {"b": 1}},
                "b": {"key": "b", "choices": [1], "when": {"a": 1}},
            },
            "the conditions of a, b depend on each other",
        ),
        ({"lr": LR, "rate": LR}, "search.space.rate.key=optimizer.optimizer.lr: search.space.lr"),
    ],
)
def test_a_faulty_space_is_refused(space: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as refused:
        read_space(space)
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("space", "message"),
    [
        (
            {"lr": {**LR, "key": "optimizer.optimizer.lrr"}},
            "search.space.lr.key: unknown key 'optimizer.optimizer.lrr': did you mean "
            "'optimizer.optimizer.lr'?",
        ),
        (
            {"a": {"key": "architecture", "choices": ["cnn_small", "cnn_smal"]}},
            "search.space.a.choices: architecture has no option 'cnn_smal'",
        ),
        (
            {"epochs": {"key": "trainer.max_epochs", "low": 1.0, "high": 2.0}},
            "search.space.epochs: trainer.max_epochs=1.0: expected int",
        ),
        # Only the other architecture has this key.
        (
            {
                "k": KIND,
                "f": {"key": FILTERS, "choices": [8], "when": {"k": OTHER}},
            },
            "search.space.f.key: unknown key 'architecture.layers.filters' with "
            "architecture=efficientnetv2_1d",
        ),
    ],
)  # fmt: skip
def test_a_space_that_does_not_fit_the_configuration(space: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as refused:
        check_space(read_space(space), compose("config"), [], [])
    assert message in str(refused.value)


def test_a_space_that_fits_and_what_it_draws(tmp_path: Path) -> None:
    space = read_space(
        {
            # A condition may stand before what it depends on.
            "filters": {
                "key": "architecture.layers.filters",
                "choices": [[4, 8, 8, 16], [8, 16, 32, 64]],
                "when": {"kind": "cnn_small"},
            },
            "kind": KIND,
            "kernel": {
                "key": "architecture.blocks.kernel",
                "low": 5,
                "high": 9,
                "step": 2,
                "when": {"kind": "efficientnetv2_1d"},
            },
            "drop": {"key": "quantization.max_drop", "choices": [None, 0.05]},
            "lr": LR,
        }
    )
    check_space(space, compose("config"), [], [])
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    for kind in KIND["choices"]:
        study.enqueue_trial({"kind": kind})
        trial = study.ask()
        job = compose("config", space.suggest(trial))
        assert job.choices["architecture"] == kind
        assert ("filters" in trial.params) == (trial.params["kind"] == "cnn_small")
        assert ("kernel" in trial.params) == (trial.params["kind"] == "efficientnetv2_1d")
        assert job.config["optimizer"]["optimizer"]["lr"] == trial.params["lr"]
        assert job.config["quantization"]["max_drop"] == trial.params["drop"]
        if "filters" in trial.params:
            assert str(job.config["architecture"]["layers"]["filters"]) == trial.params["filters"]
        else:
            assert job.config["architecture"]["blocks"]["kernel"] == trial.params["kernel"]
        study.tell(trial, 0.0)


@pytest.mark.parametrize("value", ["it's {odd}", "true", "1e3", "", [1, "a b"], 1e-07, -3, None])
def test_words_survive_hydra(value: Any) -> None:
    job = compose("config", [word("name", value)])
    assert job.config["name"] == value


@pytest.mark.parametrize(
    ("objectives", "message"),
    [
        ({"test/f1_macro": "maximize"}, "the test split decides nothing"),
        ({"quantization/int8_accuracy": "maximize"}, "the test split decides nothing"),
        ({"val/f1_macro": "max"}, "write maximize or minimize"),
        ({"f1": "maximize"}, "search.objectives.f1: unknown; use val/f1_macro"),
        ({}, "search.objectives is empty"),
    ],
)
def test_an_objective_that_cannot_be_one(objectives: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError) as refused:
        plan(objectives=objectives)
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("objective", "words", "message"),
    [
        ("deploy/corstone300_m55/cycles_est", ["deploy=none"], "deploy=none measures nothing"),
        ("deploy/host/flash_bytes", [], "the target is corstone300_m55"),
        ("deploy/corstone300_m55/cycles", [], "corstone300_m55 has no such figure"),
        ("deploy/cortex_m4/cycles_est", ["target=cortex_m4"], "cortex_m4 has no such figure"),
        ("quantization/val_f1_macro", ["quantization=none"], "quantization=none has no such"),
        ("network/size", [], "use network/parameters or network/macs"),
        ("val/f1", [], "the kept epoch has no such figure; use val/accuracy"),
        ("val/loss", [], "the kept epoch has no such figure"),
    ],
)
def test_an_objective_without_a_value(objective: str, words: list[str], message: str) -> None:
    made = plan(objectives={objective: "minimize"})
    with pytest.raises(ConfigError) as refused:
        check_objectives(made, compose("config", words).config, ["N", "A"])
    assert message in str(refused.value)


def test_what_the_command_line_and_the_space_both_set() -> None:
    with pytest.raises(ConfigError, match="the command line sets it too"):
        plan().base_words(["optimizer.optimizer.lr=0.1"])
    with pytest.raises(ConfigError, match=r"search\.fixed sets it too"):
        plan(fixed={"optimizer.optimizer.lr": 0.1}).base_words([])
    with pytest.raises(ConfigError, match="this cannot be searched"):
        plan(space={"p": {"key": "paths.home", "choices": ["a"]}}).base_words([])
    words = plan(fixed={"seed": 1, "name": "x"}).base_words(
        ["search=smoke", "seed=2", "search.seed=1"]
    )
    assert words == ["name=x", "seed=2"]
