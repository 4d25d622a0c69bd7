"""The dense network reads the features of a window and nothing else, for good."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from ecgexp.architecture.dense import Dense
from ecgexp.architecture.size import measure_size
from ecgexp.errors import ConfigError
from ecgexp.types import SignalSpec

SPEC = SignalSpec(
    fs_hz=120.0,
    leads=("MLII", "context"),
    n_samples=84,
    labels=("N", "S", "V", "F"),
    features=tuple(f"feature {number}" for number in range(13)),
)


def make(**changes: Any) -> Dense:
    torch.manual_seed(0)
    values: dict[str, Any] = {"spec": SPEC, "hidden": 32, "dropout": 0.1}
    return Dense(**(values | changes))


def read_by(network: torch.nn.Module) -> torch.Tensor:
    """Return which inputs move a logit, (lead, sample)."""
    x = torch.randn(64, 2, 84, requires_grad=True)
    network.eval()(x).square().sum().backward()
    return x.grad.abs().sum(0) > 0


def test_features_alone_are_read_before_and_after_training() -> None:
    network = make()
    expected = torch.zeros(2, 84, dtype=torch.bool)
    expected[1, :13] = True
    assert torch.equal(read_by(network), expected)
    optimizer = torch.optim.AdamW(network.train().parameters(), lr=0.01, weight_decay=0.1)
    for _ in range(5):
        logits = network(torch.randn(32, 2, 84))
        loss = torch.nn.functional.cross_entropy(logits, torch.randint(4, (32,)))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert torch.equal(read_by(network), expected)


def test_it_is_small() -> None:
    assert measure_size(make(), SPEC).trainable == 2 * 84 * 32 + 32 + 32 * 4 + 4 < 50_000


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hidden": 0}, r"architecture\.hidden=0: write a positive integer"),
        ({"dropout": 1.0}, r"architecture\.dropout=1\.0: write a rate"),
    ],
)
def test_refuses_what_it_cannot_use(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make(**changes)
