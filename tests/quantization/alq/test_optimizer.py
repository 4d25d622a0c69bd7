"""Steps of the optimizer on one layer against the reference, batch by batch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from ecgexp.quantization.alq.groups import LayerRule, attach, groups_of
from ecgexp.quantization.alq.optimizer import AlqOptimizer
from ecgexp.quantization.alq.schedule import Phase, Removal, Schedule, Stage
from tests.quantization.alq import reference

RATE = 0.03
RULES = [LayerRule(match="*", structure="channelwise", parts=1, most_bits=2)]


def made(phase: Phase) -> tuple[nn.Linear, AlqOptimizer]:
    torch.manual_seed(2)
    layer = nn.Linear(6, 4).double()
    layers = attach(layer_in := nn.Sequential(layer), RULES)
    groups_of(layer_in)["0"].double()
    optimizer = AlqOptimizer(layer_in.parameters(), layers=layers.values())
    stages = [Stage(phase=phase, epochs=1, rate=RATE, decay=1.0)]
    removal = Removal(bits=2.0, top_k=1.0)
    optimizer.follow(Schedule(stages, removal, steps_per_epoch=9, first_bits=2.0))
    for group in optimizer.param_groups:
        group["lr"] = RATE
    return layer, optimizer


def step(layer: nn.Linear, optimizer: AlqOptimizer, gradient: np.ndarray) -> np.ndarray:
    layer.weight.grad = torch.from_numpy(gradient)
    layer.bias.grad = torch.ones(4, dtype=torch.float64)
    optimizer.step()
    return layer.weight.detach().numpy().copy()


def described(bases: int, coordinates: np.ndarray, target: np.ndarray, h: np.ndarray) -> np.ndarray:
    """Return the weights after an assignment and a refresh, by brute force."""
    found = np.empty_like(target)
    for g, (w, alpha) in enumerate(zip(target, coordinates, strict=True)):
        patterns = np.array(np.meshgrid(*[[-1, 1]] * bases)).reshape(bases, -1).T
        signs = np.array([min(patterns, key=lambda b, x=x: abs(b @ alpha - x)) for x in w]).T
        found[g] = reference.best_coordinates(signs, w, h[g]) @ signs
    return found


@pytest.mark.parametrize("phase", ["basis", "master"])
def test_weights_follow_the_model(phase: Phase) -> None:
    layer, optimizer = made(phase)
    draw = np.random.default_rng(3)
    gradients: list[np.ndarray] = []
    origin = layer.weight.detach().numpy().copy()
    for _ in range(4):
        gradients.append(draw.normal(size=(4, 6)))
        coordinates = optimizer.groups[0].coordinates.numpy().copy()
        p, h = reference.amsgrad(gradients, RATE)
        target = origin - p / h
        found = step(layer, optimizer, gradients[-1])
        np.testing.assert_allclose(found, described(2, coordinates, target, h), rtol=0, atol=1e-6)
        origin = target if phase == "master" else found


def test_coordinates_follow_amsgrad() -> None:
    layer, optimizer = made("coordinate")
    draw = np.random.default_rng(3)
    groups = optimizer.groups[0]
    bases = groups.bases.numpy().astype(float)
    alpha = groups.coordinates.numpy().copy()
    first = draw.normal(size=(4, 6)) * 0.01
    found = step(layer, optimizer, first)
    # The moments of the coordinates begin as those of the weights, seen along the bases.
    mean, square = bases @ (0.1 * first)[:, :, None], 0.001 * (first**2).sum(1, keepdims=True)
    h = (np.sqrt(square) + 1e-8) / np.sqrt(0.001)
    moved = alpha - RATE * mean[:, :, 0] / 0.1 / h
    np.testing.assert_allclose(found, np.einsum("gi,gin->gn", moved, bases), rtol=0, atol=1e-6)


def test_biases_take_adam_steps() -> None:
    layer, optimizer = made("basis")
    before = layer.bias.detach().clone()
    step(layer, optimizer, np.ones((4, 6)))
    torch.testing.assert_close(layer.bias.detach(), before - RATE)


def test_nothing_is_stepped_before_there_is_a_schedule() -> None:
    layers = attach(net := nn.Sequential(nn.Linear(4, 2)), RULES)
    optimizer = AlqOptimizer(net.parameters(), layers=layers.values())
    net(torch.ones(1, 4)).sum().backward()
    with pytest.raises(RuntimeError, match="follow"):
        optimizer.step()
