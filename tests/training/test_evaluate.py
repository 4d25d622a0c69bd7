from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from ecgexp.training import evaluate as module
from ecgexp.training.evaluate import predict_logits


@pytest.fixture
def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv1d(1, 4, 5), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Flatten(), nn.Linear(48, 3)
    )


def test_logits_are_those_of_the_network_in_evaluation_mode(network: nn.Module) -> None:
    x = np.random.default_rng(0).normal(size=(600, 1, 16)).astype(np.float32)
    logits = predict_logits(network, x)
    assert network.training
    with torch.no_grad():
        expected = network.eval()(torch.from_numpy(x)).numpy()
    assert logits.shape == (600, 3)
    assert logits.dtype == np.float32
    assert np.allclose(logits, expected, atol=1e-5)


def test_twice_the_same_and_nothing_left_behind(network: nn.Module) -> None:
    x = np.random.default_rng(1).normal(size=(300, 1, 16)).astype(np.float32)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    assert np.array_equal(predict_logits(network, x), predict_logits(network, x))
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())


def test_read_only_memory_maps_are_fine(network: nn.Module, tmp_path: object) -> None:
    path = f"{tmp_path}/x.npy"
    np.save(path, np.zeros((module.BATCH + 1, 1, 16), dtype=np.float32))
    assert predict_logits(network, np.load(path, mmap_mode="r")).shape == (module.BATCH + 1, 3)
