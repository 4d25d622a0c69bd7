"""What would fail late is named before anything is trained."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from ecgexp.config.compose import compose
from ecgexp.errors import ConfigError
from ecgexp.pipeline import build_data
from ecgexp.pipeline.check import check_stages
from ecgexp.pipeline.room import Room

SMALL = ("dataset.n_patients=20", "dataset.windows_per_patient=2", "architecture=cnn_small")


def check(home: Path, *words: str) -> None:
    config = compose("config", [*SMALL, f"paths.home={home}", *words], []).config
    data = build_data(config)
    data.prepare(progress=False)
    check_stages(Room(config=config, data=data, run=SimpleNamespace()))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["deploy.n_golden=7"],
            r"deploy\.n_golden=7: golden windows come from the validation split, which has 6; use",
        ),
        (
            ["deploy=none", "deploy.n_golden=7"],
            r"deploy\.n_golden=7: golden windows come from the validation split, which has 6; use",
        ),
        (
            ["architecture.head=flatten", "dataset.sampling.crop_s=8"],
            r"dataset\.sampling\.crop_s: excerpts have the shape \(1, 800\), windows \(1, 1000\), "
            r"and this architecture takes no other length \(.+\); use dataset\.sampling\.crop_s=",
        ),
        (["dataset.sampling.crop_s=11"], r"crop_s=11: 1100 samples out of windows of 1000; use"),
        (
            ["architecture=resnet_hannun_small", "architecture.logits=step"],
            r"a training batch of windows \(1, 1000\) has no loss \(.+\); networks with logits per",
        ),
        (["objective=multilabel"], r"Multilabel is not for windows that have exactly one of"),
    ],
)
def test_what_cannot_end_well(home: Path, words: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check(home, "deploy.n_golden=6", *words)


@pytest.mark.parametrize("architecture", ["cnn_small", "efficientnetv2_1d"])
def test_what_fits_changes_no_random_number(home: Path, architecture: str) -> None:
    words = (f"architecture={architecture}", "dataset.sampling.crop_s=6", "deploy.n_golden=6")
    torch.manual_seed(5)
    before = torch.get_rng_state()
    check(home, *words)
    assert torch.equal(torch.get_rng_state(), before)
