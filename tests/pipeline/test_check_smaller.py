"""What makes a network smaller is asked before anything is trained whether it can."""

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

SMALL = (
    "dataset.n_patients=20",
    "dataset.windows_per_patient=2",
    "architecture=cnn_small",
    "deploy=none",
    "deploy.n_golden=1",
)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


def check(home: Path, *words: str) -> None:
    config = compose("config", [*SMALL, f"paths.home={home}", *words], []).config
    data = build_data(config)
    data.prepare(progress=False)
    check_stages(Room(config=config, data=data, run=SimpleNamespace()))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["quantization=mixed", "quantization.layers.0.bits=9"], r"asks for 9 bits; use 2 to 8"),
        (["quantization=mixed", "quantization.widths=[8,1]"], r"widths=\[8, 1\]: use whole num"),
        (["quantization=alq", "quantization.bits=9"], r"quantization\.bits=9: use more than 0"),
        (
            ["quantization=alq", "quantization.activations.equalize=true"],
            r"quantization\.activations\.equalize=true: equalisation would tear apart",
        ),
        (
            ["quantization=alq", "quantization.layers.1.match=dense"],
            r"quantization\.layers: no rule matches layer '\S+' \(rules: features\.0, dense\); add",
        ),
        (
            ["pruning=l1_50", "pruning.ratio=0.99", "pruning.max_layer_ratio=0.995"],
            r"pruning\.ratio: 0\.99 leaves layer \S+ of \d+ channels without any; use a smaller",
        ),
        (
            ["pruning=l1_50", "architecture=resnet_hannun_small"],
            r"torch-pruning cannot follow the channels of ResNetHannun",
        ),
    ],
)
def test_what_cannot_get_smaller(home: Path, words: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check(home, *words)


@pytest.mark.parametrize("words", [("quantization=alq",), ("pruning=taylor_50",)])
def test_what_can_get_smaller_draws_no_number(home: Path, words: tuple[str, ...]) -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    check(home, *words)
    assert torch.equal(torch.get_rng_state(), before)
