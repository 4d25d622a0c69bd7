from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from ecgexp.errors import ConfigError
from ecgexp.quantization.alq.groups import Groups, LayerRule, attach, groups_of, settle
from ecgexp.quantization.alq.schedule import Removal, Schedule, Stage, average_bits
from ecgexp.quantization.alq.size import measure
from ecgexp.quantization.alq.steps import prune

RULES = [
    LayerRule(match="0", structure="kernelwise", parts=1, most_bits=4),
    LayerRule(match="*", structure="channelwise", parts=1, most_bits=3),
]


def network() -> nn.Sequential:
    torch.manual_seed(4)
    return nn.Sequential(nn.Conv1d(2, 6, 3), nn.ReLU(), nn.Flatten(), nn.Linear(6 * 6, 5))


def stage(phase: str, epochs: int) -> Stage:
    return Stage(phase=phase, epochs=epochs, rate=0.1, decay=0.5)  # type: ignore[arg-type]


def schedule(stages: list[Stage], *, bits: float, top_k: float, steps: int = 4) -> Schedule:
    removal = Removal(bits=bits, top_k=top_k)
    return Schedule(stages, removal, steps_per_epoch=steps, first_bits=3.0)


def scores_of(groups: list[Groups]) -> list[Tensor]:
    return [
        torch.rand_like(layer.coordinates).masked_fill(~layer.live, float("inf"))
        for layer in groups
    ]


def test_phases_and_rates_follow_the_stages() -> None:
    plan = schedule([stage("basis", 2), stage("prune", 1)], bits=1, top_k=0.5, steps=2)
    assert [plan.phase(s) for s in range(7)] == ["basis"] * 4 + ["prune"] * 3
    assert [plan.rate(s) for s in range(6)] == [0.1, 0.1, 0.05, 0.05, 0.1, 0.1]


def test_pruning_ends_at_the_budget() -> None:
    attach(net := network(), RULES)
    groups = list(groups_of(net).values())
    plan = schedule([stage("prune", 2)], bits=1.2, top_k=0.3)
    for step in range(8):
        before = average_bits(groups)
        for layer, mask in zip(groups, plan.removal(step, scores_of(groups), groups), strict=True):
            assert not bool((mask & ~layer.live).any()), "what is gone cannot go again"
            layer.keep(prune(layer.code, mask))
        assert average_bits(groups) <= before
    n_weights = sum(layer.layout.n_weights for layer in groups)
    largest = max(layer.layout.group_size for layer in groups)
    assert 1.2 - largest / n_weights < average_bits(groups) <= 1.2 + 1e-6


def test_the_smallest_importance_goes_first_also_where_something_is_gone_already() -> None:
    """Indices and values are those of one array, with gaps where bases are missing."""
    attach(net := network(), [LayerRule(match="*", structure="kernelwise", parts=1, most_bits=3)])
    groups = list(groups_of(net).values())[:1]
    gone = torch.zeros_like(groups[0].live)
    gone[:4] = True
    groups[0].keep(prune(groups[0].code, gone))
    scores = scores_of(groups)
    scores[0][7, 1] = -1.0
    plan = schedule([stage("prune", 1)], bits=1.7, top_k=0.5, steps=2)
    torch.manual_seed(0)
    removed = plan.removal(1, scores, groups)[0]
    assert bool(removed[7, 1])
    assert float(scores[0][removed].max()) <= float(scores[0][groups[0].live & ~removed].min())


def test_one_layer_may_lose_all_where_its_importance_is_smallest() -> None:
    attach(net := network(), RULES)
    groups = list(groups_of(net).values())
    scores = scores_of(groups)
    scores[1] = scores[1] + 10
    plan = schedule([stage("prune", 1)], bits=2.4, top_k=1.0, steps=1)
    removed = plan.removal(0, scores, groups)
    assert int(removed[0].sum()) == int(groups[0].live.sum())


@pytest.mark.parametrize(
    ("stages", "top_k", "message"),
    [
        ([stage("basis", 3)], 0.1, "3.00 bits per weight and no epoch takes any away"),
        ([stage("prune", 2)], 0.005, r"top_k=0.005: from 3.00 to 1 bits in 8 batches takes 0.1283"),
    ],
)
def test_a_budget_that_cannot_be_met(stages: list[Stage], top_k: float, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        schedule(stages, bits=1.0, top_k=top_k)


def test_a_share_of_the_candidates_stays_in_every_batch() -> None:
    """A share of 1 would leave the ranking over all layers without effect."""
    attach(net := network(), RULES)
    groups = list(groups_of(net).values())
    plan = schedule([stage("prune", 10)], bits=1.5, top_k=0.2)
    scores = scores_of(groups)
    removed = plan.removal(0, scores, groups)
    candidates = [0.2 * int(layer.live.sum()) for layer in groups]
    assert sum(int(mask.sum()) for mask in removed) < 0.7 * sum(candidates)


def test_bits_are_bounded_by_the_size_of_a_group() -> None:
    attach(net := network(), RULES)
    found = groups_of(net)
    assert found["0"].live.shape == (12, 3)
    assert found["3"].live.shape == (5, 3)


def test_layers_compute_with_the_sum_of_their_planes() -> None:
    layers = attach(net := network(), RULES)
    conv, groups = layers["0"], groups_of(net)["0"]
    expected = torch.zeros(6, 2, 3)
    for o in range(6):
        for c in range(2):
            for i in range(3):
                expected[o, c] += groups.coordinates[2 * o + c, i] * groups.bases[2 * o + c, i]
    torch.testing.assert_close(conv.get_parameter("weight").detach(), expected)
    settle(conv)
    torch.testing.assert_close(conv.get_parameter("weight").detach(), expected)


def test_a_layer_without_a_rule() -> None:
    with pytest.raises(ConfigError, match=r"no rule matches layer '3' \(rules: 0\); add one"):
        attach(network(), RULES[:1])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"most_bits": 9}, r"most_bits=9 of '\*': use 1..8"),
        ({"most_bits": 0}, r"most_bits=0 of '\*': use 1..8"),
        ({"structure": "rowwise"}, "structure='rowwise', choose one of kernelwise, channelwise"),
        ({"structure": "subchannelwise", "parts": 4}, "parts=4 does not divide the 6 weights"),
    ],
)
def test_a_rule_that_cannot_be_followed(change: dict[str, object], message: str) -> None:
    fields = {"match": "*", "structure": "channelwise", "parts": 1, "most_bits": 3, **change}
    with pytest.raises(ConfigError, match=message):
        attach(network(), [LayerRule(**fields)])  # type: ignore[arg-type]


def test_everything_is_counted() -> None:
    attach(net := network(), RULES)
    size = measure(list(groups_of(net).values()), "int8")
    conv, dense = groups_of(net).values()
    bases = int(conv.live.sum()), int(dense.live.sum())
    assert size.basis_bits == bases[0] * 3 + bases[1] * 36
    assert size.coordinate_bytes == sum(bases)
    assert size.mask_bytes == 12 * 2 // 8 + -(-5 * 2 // 8)
    assert (size.scale_bytes, size.bias_bytes) == (44, 44)
    assert size.total_bytes == -(-size.basis_bits // 8) + sum(bases) + 3 + 2 + 44 + 44
    assert size.float_bytes == 4 * (36 + 180 + 11)
    assert measure([conv, dense], "float16").total_bytes == size.total_bytes + sum(bases) - 44
