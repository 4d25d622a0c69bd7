"""The averaged weights: what is validated, kept and resumed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import pytorch_lightning as pl
import torch

from ecgexp.errors import ConfigError
from ecgexp.training.callbacks import WeightEma
from ecgexp.training.checkpoint import load_network_state

Fit = Callable[..., Any]
DECAY = 0.9


class Follow(pl.Callback):
    """Average by hand after every step."""

    def __init__(self) -> None:
        self.average: dict[str, torch.Tensor] = {}

    def on_train_batch_end(self, trainer: Any, pl_module: Any, *rest: Any) -> None:
        for name, value in pl_module.network.state_dict().items():
            if value.is_floating_point():
                old = self.average.get(name, value)
                self.average[name] = DECAY * old + (1 - DECAY) * value


def test_the_checkpoint_holds_the_average_of_all_steps(toy_fit: Fit) -> None:
    follow = Follow()
    fitted = toy_fit(extra=[WeightEma(decay=DECAY), follow], compare_from=1.0)
    kept = load_network_state(fitted.best)
    assert len(follow.average) > 5
    for name, expected in follow.average.items():
        torch.testing.assert_close(kept[name], expected, rtol=1e-4, atol=1e-5)


def test_a_resumed_fit_ends_as_an_uninterrupted_one(toy_fit: Fit) -> None:
    whole = toy_fit("whole", extra=[WeightEma(decay=DECAY)])

    class Cut(pl.Callback):
        def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
            if trainer.current_epoch == 1:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        toy_fit("cut", extra=[WeightEma(decay=DECAY), Cut()])
    last = whole.last.parents[1] / "cut" / "last.ckpt"
    resumed = toy_fit("cut", extra=[WeightEma(decay=DECAY)], resume_from=last)
    expected = load_network_state(whole.last)
    for name, value in load_network_state(resumed.last).items():
        assert torch.equal(value, expected[name]), name


def test_a_decay_of_one_would_never_learn() -> None:
    with pytest.raises(ConfigError, match=r"callbacks\.weight_average\.decay: 1\.0 is a share"):
        WeightEma(decay=1.0)
