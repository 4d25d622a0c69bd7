"""Conditions of `ecgexp select`: reading, meeting, and MLflow's own words for them."""

import pytest

from ecgexp.errors import ConfigError
from ecgexp.selection.condition import meets, mlflow_filters, read_condition
from ecgexp.tracking.found import Found

M55 = "corstone300_m55"


def run(**metrics: float) -> Found:
    return Found(
        run_id="0" * 32,
        name="",
        status="FINISHED",
        metrics={name.replace("__", "/"): value for name, value in metrics.items()},
        tags={"ecgexp.deployable": "true"},
        params={"optimizer.lr": "0.01"},
    )


def filters(text: str) -> list[str]:
    return mlflow_filters(read_condition(text, M55))


def test_full_names_and_exponents() -> None:
    (text,) = filters("test/f1_macro > 0.8 and deploy/x/instructions < 2e6")
    assert text == (
        "attributes.status = 'FINISHED' and metrics.`test/f1_macro` > 0.8"
        " and metrics.`deploy/x/instructions` < 2000000.0"
    )


def test_short_names_and_units() -> None:
    (text,) = filters("f1 >= 90 % and latency < 5000 us and flash <= 64 KiB")
    assert "metrics.`test/f1_macro` >= 0.9" in text
    assert f"metrics.`deploy/{M55}/latency_est_ms` < 5.0" in text
    assert f"metrics.`deploy/{M55}/flash_bytes` <= 65536.0" in text


def test_words_are_for_tags_and_parameters() -> None:
    assert "tags.`ecgexp.deployable` = 'true'" in filters("deployable = true")[0]
    assert "params.`architecture._target_` != 'x'" in filters("architecture._target_ != x")[0]


@pytest.mark.parametrize("word", ["0e69da25e8156fd9", "9c12d319f632aef3", "a0"])
def test_a_word_may_begin_as_a_number(word: str) -> None:
    assert read_condition(f"sweep = {word}", M55)[0][0].value == word


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("f1 > 0.8", True),
        ("f1 < 0.8", False),
        ("f1 > 0.9 or f1 <= 0.85", True),
        ("f1 > 0.8 and deployable = true", True),
        ("f1 > 0.8 and deployable = false", False),
        ("deployable != false", True),
        ("test/auc > 0", False),
        ("test/auc != 1", False),
        ("val/loss > 0 or val/loss <= 0", False),
        ("", True),
    ],
)
def test_meets(text: str, expected: bool) -> None:
    found = run(test__f1_macro=0.85, val__loss=float("nan"))
    assert meets(found, read_condition(text, M55)) is expected


@pytest.mark.parametrize("condition", ["f1", "f1 > high", "(f1 > 0.9)", "f1 >< 3", "f1 > 0.9 and"])
def test_unreadable_condition(condition: str) -> None:
    with pytest.raises(ConfigError, match="write NAME SIGN NUMBER"):
        read_condition(condition, M55)


def test_unknown_short_name() -> None:
    with pytest.raises(ConfigError, match="unknown name 'speed'"):
        read_condition("speed > 3", M55)
