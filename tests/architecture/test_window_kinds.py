"""Networks of signals are not fed images, nor the other way round."""

from __future__ import annotations

import pytest

from ecgexp.config.compose import compose
from ecgexp.errors import ConfigError
from ecgexp.pipeline.parts import build_network
from tests.architecture.conftest import GUIDE, IMAGE


@pytest.mark.parametrize("option", ["efficientnetv2_1d", "cnn_mlii17"])
def test_a_network_of_signals_refuses_images(option: str) -> None:
    config = compose("config", [f"architecture={option}"]).config
    with pytest.raises(ConfigError, match=r"reads signals, but windows are images \(1, 100, 100\)"):
        build_network(config, IMAGE)
    assert build_network(config, GUIDE) is not None


def test_a_network_of_images_refuses_signals() -> None:
    config = compose("config", ["architecture=cnn_scalogram_small"]).config
    with pytest.raises(ConfigError, match=r"reads images, but windows have shape \(1, 800\); make"):
        build_network(config, GUIDE)
    assert build_network(config, IMAGE) is not None
