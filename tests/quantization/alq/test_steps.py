from __future__ import annotations

import numpy as np
import pytest
import torch

from ecgexp.quantization.alq import steps
from ecgexp.quantization.alq.layout import STRUCTURES, Layout
from ecgexp.quantization.alq.sketch import Code, sketch
from tests.quantization.alq import reference

GROUPS, SIZE, BITS = 12, 7, 3


@pytest.fixture
def weights() -> torch.Tensor:
    return torch.randn(GROUPS, SIZE, dtype=torch.float64, generator=torch.manual_seed(1))


@pytest.fixture
def code(weights: torch.Tensor) -> Code:
    removed = torch.zeros(GROUPS, BITS, dtype=torch.bool)
    removed[1, 0] = removed[2, 2] = True
    removed[3] = True
    return steps.prune(sketch(weights, BITS), removed)


@pytest.mark.parametrize("most_bits", [1, 2, 3, 4])
def test_sketch_is_the_reference(weights: torch.Tensor, most_bits: int) -> None:
    found = sketch(weights, most_bits)
    for g in range(GROUPS):
        bases, alpha = reference.sketch(weights[g].numpy(), most_bits)
        live = found.live[g].numpy()
        assert live.sum() == len(alpha)
        np.testing.assert_allclose(found.coordinates[g].numpy()[live], alpha, rtol=0, atol=1e-6)
        np.testing.assert_array_equal(found.bases[g].numpy()[live], bases)


def test_sketch_of_zeros_and_of_one_plane_needs_no_more() -> None:
    weights = torch.tensor([[0.0, 0, 0, 0], [0.5, -0.5, 0.5, 0.5]], dtype=torch.float64)
    assert sketch(weights, 4).live.sum(1).tolist() == [0, 1]


def test_bits_never_exceed_the_size_of_a_group(weights: torch.Tensor) -> None:
    assert sketch(weights[:, :2], 7).live.shape[1] == 2


def test_the_rest_of_a_sketch_is_orthogonal_to_its_bases(weights: torch.Tensor) -> None:
    found = sketch(weights, BITS)
    rest = weights - found.weights()
    inner = torch.einsum("gin,gn->gi", found.bases, rest) * found.live
    assert float(inner.abs().max()) < 1e-9


def test_moments_are_amsgrad() -> None:
    generator = np.random.default_rng(0)
    gradients = [generator.normal(size=(2, 3)) for _ in range(5)]
    moments = steps.Moments.zeros(torch.zeros(2, 3, dtype=torch.float64))
    for gradient in gradients:
        moments.update(torch.from_numpy(gradient))
    p, h = reference.amsgrad(gradients, 0.01)
    np.testing.assert_allclose(moments.gradient(0.01, 5).numpy(), p, atol=1e-12)
    np.testing.assert_allclose(moments.hessian(5).numpy(), h, atol=1e-12)


def test_projected_moments_are_those_of_the_coordinates(code: Code) -> None:
    moments = steps.Moments.zeros(code.weights())
    moments.update(torch.randn(GROUPS, SIZE, dtype=torch.float64))
    found = moments.projected(code.bases)
    for g in range(GROUPS):
        bases = code.bases[g].numpy()
        np.testing.assert_allclose(found.mean[g].numpy(), bases @ moments.mean[g].numpy())
        full = bases @ np.diag(moments.square[g].numpy()) @ bases.T
        np.testing.assert_allclose(found.square[g].numpy(), np.diag(full))


def test_importance_is_the_modelled_rise_of_the_loss(code: Code) -> None:
    p, h = torch.randn_like(code.coordinates), torch.rand_like(code.coordinates) + 0.1
    found = steps.importance(code, p, h)
    for g in range(GROUPS):
        for i in range(BITS):
            if code.live[g, i]:
                rise = reference.loss_rise(*(float(t[g, i]) for t in (code.coordinates, p, h)))
                assert float(found[g, i]) == pytest.approx(rise, abs=1e-6)
            else:
                assert float(found[g, i]) == np.inf


def test_assigned_signs_give_the_nearest_sum(code: Code, weights: torch.Tensor) -> None:
    target = weights + 0.3 * torch.randn_like(weights)
    found = steps.assign(code, target)
    for g in range(GROUPS):
        alpha = code.coordinates[g][code.live[g]].numpy()
        expected = reference.nearest(target[g].numpy(), alpha)
        np.testing.assert_allclose(found.weights()[g].numpy(), expected, rtol=0, atol=1e-6)
    assert bool((found.bases.abs() == 1).all())


def test_refreshed_coordinates_are_the_weighted_least_squares(
    code: Code, weights: torch.Tensor
) -> None:
    hessian = torch.rand_like(weights) + 0.5
    found = steps.refresh(code, weights, hessian)
    for g in range(GROUPS):
        live = code.live[g].numpy()
        bases = code.bases[g].numpy()[live]
        alpha = reference.best_coordinates(bases, weights[g].numpy(), hessian[g].numpy())
        np.testing.assert_allclose(found.weights()[g].numpy(), alpha @ bases, rtol=0, atol=1e-6)
        assert bool((found.coordinates[g] >= 0).all())
        np.testing.assert_allclose(
            found.coordinates[g].numpy()[live], np.abs(alpha), rtol=0, atol=1e-6
        )


def test_a_negative_coordinate_turns_its_basis() -> None:
    bases = torch.tensor([[[1.0, -1, 1], [1, 1, 1]]], dtype=torch.float64)
    live = torch.ones(1, 2, dtype=torch.bool)
    before = Code(bases, torch.tensor([[0.5, 0.2]], dtype=torch.float64), live)
    gradient = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
    moved = steps.step_coordinates(before, gradient, torch.ones_like(gradient))
    assert moved.coordinates.tolist() == [[0.5, 0.2]]
    assert moved.bases[0, 0].tolist() == [-1.0, 1.0, -1.0]
    np.testing.assert_allclose(moved.weights().numpy(), [[-0.3, 0.7, -0.3]])


@pytest.mark.parametrize("structure", STRUCTURES)
@pytest.mark.parametrize("shape", [(4, 6, 3), (4, 6), (4, 6, 2, 3)])
def test_a_layout_cuts_along_its_axis(structure: str, shape: tuple[int, ...]) -> None:
    layout = Layout(shape, structure, 2)  # type: ignore[arg-type]
    weight = torch.arange(float(np.prod(shape))).reshape(shape)
    groups = layout.split(weight)
    assert groups.shape == (layout.n_groups, layout.group_size)
    assert torch.equal(layout.join(groups), weight)
    first = {
        "kernelwise": weight.reshape(4, 6, -1)[0, 0],
        "channelwise": weight.reshape(4, 6, -1)[0].T.flatten(),
        "pixelwise": weight.reshape(4, 6, -1)[0, :, 0],
        "subchannelwise": weight.reshape(4, 6, -1)[0].T.flatten()[: weight[0].numel() // 2],
    }
    assert torch.equal(groups[0], first[structure])
