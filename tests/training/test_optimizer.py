from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import nn

from ecgexp.errors import ConfigError
from ecgexp.training.optimizer import OptimizerSpec, constant, warmup_cosine


def rates(scheduler: object, total: int, lr: float = 0.1) -> list[float]:
    spec = OptimizerSpec(optimizer=partial(torch.optim.SGD, lr=lr), scheduler=scheduler)  # type: ignore[arg-type]
    optimizer, schedule = spec.build(nn.Linear(2, 2).parameters(), total)
    seen = []
    for _ in range(total):
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return seen


def test_warmup_cosine_rises_to_the_peak_and_falls_to_the_floor() -> None:
    seen = rates(partial(warmup_cosine, warmup_fraction=0.25, final_fraction=0.01), 100)
    peak = seen.index(max(seen))
    assert peak == 25
    assert max(seen) == pytest.approx(0.1)
    assert seen[:peak] == sorted(seen[:peak])
    assert seen[peak:] == sorted(seen[peak:], reverse=True)
    assert seen[0] > 0
    assert seen[-1] == pytest.approx(0.1 * 0.01)


def test_without_warmup_it_is_torchs_cosine() -> None:
    seen = rates(partial(warmup_cosine, warmup_fraction=0.0, final_fraction=0.0), 11)
    optimizer = torch.optim.SGD(nn.Linear(1, 1).parameters(), lr=0.1)
    theirs = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=10)
    expected = []
    for _ in range(11):
        expected.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        theirs.step()
    assert seen == pytest.approx(expected)


def test_constant_and_a_single_step() -> None:
    assert rates(constant, 5) == [0.1] * 5
    assert rates(
        partial(warmup_cosine, warmup_fraction=0.5, final_fraction=0.1), 1
    ) == pytest.approx([0.1])


@pytest.mark.parametrize(("key", "value"), [("warmup_fraction", 1.0), ("final_fraction", -0.1)])
def test_shares_out_of_range_name_the_key(key: str, value: float) -> None:
    shares = {"warmup_fraction": 0.1, "final_fraction": 0.1, key: value}
    with pytest.raises(ConfigError, match=rf"optimizer\.scheduler\.{key}: {value}"):
        rates(partial(warmup_cosine, **shares), 10)


def test_settings_that_torch_refuses_are_configuration_errors() -> None:
    with pytest.raises(ConfigError, match=r"optimizer\.optimizer: Invalid learning rate: -1"):
        rates(constant, 1, lr=-1)
