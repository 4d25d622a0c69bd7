"""Targets: what the YAML files say, what is refused, and what fits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from ecgexp.errors import BuildError, ConfigError
from ecgexp.resources import resource_folder
from ecgexp.target import Target

NAMES = sorted(path.stem for path in (resource_folder("conf") / "target").glob("*.yaml"))


def _options(name: str) -> dict[str, Any]:
    path = resource_folder("conf") / "target" / f"{name}.yaml"
    options = yaml.safe_load(path.read_text())
    assert options.pop("_target_") == "ecgexp.target.Target"
    return options


def _changed(option: str, **changes: Any) -> Target:
    return Target(**{**_options(option), **changes})


@pytest.mark.parametrize("name", NAMES)
def test_every_option_is_valid_and_named_like_its_file(name: str) -> None:
    assert Target(**_options(name)).name == name


def test_emulator_and_fvp_describe_the_same_image() -> None:
    qemu, fvp = Target(**_options("corstone300_m55")), Target(**_options("corstone300_m55_fvp"))
    assert (qemu.memory, qemu.placement, qemu.triple) == (fvp.memory, fvp.placement, fvp.triple)


def test_capacities_sum_the_regions_once() -> None:
    board = Target(**_options("corstone300_m55"))
    assert board.flash_bytes == (512 + 2048) * 1024
    assert board.ram_bytes == (512 + 4096) * 1024
    shared = _changed(
        "corstone300_m55",
        placement=dict.fromkeys(("code", "weights", "data", "arena", "golden"), "sram"),
    )
    assert shared.flash_bytes == shared.ram_bytes == 4096 * 1024
    host = Target(**_options("host"))
    assert host.flash_bytes is None
    assert host.ram_bytes is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        pytest.param(
            {"cpu": "cortex-a53"},
            "target.cpu = 'cortex-a53' is not supported: use one of cortex-m4, cortex-m7",
            id="cpu",
        ),
        pytest.param(
            {"cpu": "cortex-m7"},
            "target.isa = 'mve' does not run on cpu cortex-m7: use one of dsp, generic",
            id="isa",
        ),
        pytest.param(
            {"triple": "thumbv7em-none-eabi"},
            "does not fit cpu cortex-m55: use thumbv8.1m.main-none-eabi",
            id="triple",
        ),
        pytest.param({"runner": "none"}, "`not-run` and runner=none belong", id="not-run"),
        pytest.param({"runner": "jlink"}, "use one of qemu, fvp, host, none", id="runner"),
        pytest.param({"fidelity": "silicon"}, "target.fidelity = 'silicon'", id="fidelity"),
        pytest.param({"name": "my board"}, "target.name = 'my board' must be an id", id="name"),
        pytest.param({"machine": None}, "target.machine is empty", id="machine"),
        pytest.param({"executable": None}, "target.executable is empty", id="executable"),
        pytest.param({"clock_hz": 0.0}, "target.clock_hz = 0.0 must be positive", id="clock"),
        pytest.param({"stack_bytes": 100}, "target.stack_bytes = 100 must be", id="stack"),
        pytest.param({"isa": "generic", "triple": "native"}, "exactly where port", id="mixed"),
        pytest.param(
            {"placement": {"code": "itcm"}}, "must have exactly code, weights, data", id="placement"
        ),
        pytest.param(
            {"memory": {"rom": {"origin": 0, "size_bytes": 1024}}},
            "target.placement.code = 'itcm' names no region of target.memory: use one of rom",
            id="region",
        ),
        pytest.param(
            {"memory": {"itcm": {"origin": 0, "size": 1}}},
            "target.memory.itcm = {'origin': 0, 'size': 1} must have exactly the keys",
            id="region-keys",
        ),
        pytest.param(
            {"memory": {"itcm": {"origin": 0, "size_bytes": "512K"}}},
            "target.memory.itcm.size_bytes = '512K' must be a whole number",
            id="region-size",
        ),
        pytest.param(
            {"memory": {"itcm": {"origin": 0xFFFFFFFF, "size_bytes": 2}}},
            "non-empty range below 4 GiB",
            id="region-range",
        ),
        pytest.param(
            {
                "memory": {
                    "itcm": {"origin": 0, "size_bytes": 64},
                    "dtcm": {"origin": 32, "size_bytes": 64},
                }
            },
            "itcm (to 0x40) overlaps dtcm (from 0x20)",
            id="overlap",
        ),
    ],
)
def test_bad_values_are_refused_with_a_remedy(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        _changed("corstone300_m55", **changes)
    assert message in str(caught.value)


def test_helium_kernels_are_refused_on_the_host() -> None:
    with pytest.raises(ConfigError, match="does not run on cpu native: use one of generic"):
        _changed("host", isa="mve")


def test_a_network_that_fits_passes() -> None:
    board = Target(**_options("corstone300_m55"))
    board.require_fit(weight_bytes=2 << 20, arena_bytes=4 << 20, code_bytes=512 << 10)


def test_a_network_that_does_not_fit_fails_with_sizes() -> None:
    board = Target(**_options("corstone300_m55"))
    with pytest.raises(BuildError) as caught:
        board.require_fit(weight_bytes=15_489_052, arena_bytes=5_000_000, code_bytes=0)
    message = str(caught.value)
    assert "does not fit target corstone300_m55" in message
    assert "ssram has 2097152 bytes but needs 15489052 (weights 15489052)" in message
    assert "sram has 4194304 bytes but needs 5000000 (arena 5000000)" in message
    assert "dtcm" not in message
    assert "cortex_m55_large" in message


def test_the_large_target_takes_a_net_of_15_megabytes() -> None:
    large = Target(**_options("cortex_m55_large"))
    large.require_fit(weight_bytes=15_489_052, arena_bytes=1_228_800, code_bytes=26_260)


def test_the_arena_takes_the_fast_memory_while_it_has_room() -> None:
    board = Target(**_options("corstone300_m55"))
    small = board.settle(weight_bytes=47_400, arena_bytes=20_000, code_bytes=30_000)
    assert small.placement == {
        "code": "itcm",
        "weights": "ssram",
        "data": "dtcm",
        "arena": "dtcm",
        "golden": "ddr",
    }
    room = 524_288 - 16_384 - 2 * 16_384  # the stack, and a margin for it and for the arena
    for arena_bytes, region in ((room, "dtcm"), (room + 1, "sram"), (5_000_000, "sram")):
        settled = board.settle(weight_bytes=0, arena_bytes=arena_bytes, code_bytes=0)
        assert settled.placed.arena == region


def test_what_is_used_most_is_placed_first() -> None:
    anywhere = ["dtcm", "sram"]
    placement = dict.fromkeys(("code", "weights", "data", "arena"), anywhere)
    board = _changed("corstone300_m55", placement={**placement, "golden": "ddr"})
    settled = board.settle(weight_bytes=400_000, arena_bytes=400_000, code_bytes=100_000)
    assert settled.placed.data == settled.placed.arena == "dtcm"
    assert settled.placed.code == settled.placed.weights == "sram"
    assert board.flash_bytes == board.ram_bytes == 524_288 + 4_194_304


def test_contents_of_one_region_are_added_up() -> None:
    placement = {**_options("corstone300_m55")["placement"], "weights": "itcm"}
    board = _changed("corstone300_m55", placement=placement)
    with pytest.raises(BuildError, match=r"needs 524289 \(code 1, weights 524288\)"):
        board.require_fit(weight_bytes=512 << 10, arena_bytes=0, code_bytes=1)


def test_nothing_bounds_the_host() -> None:
    Target(**_options("host")).require_fit(weight_bytes=1 << 40, arena_bytes=1 << 40, code_bytes=0)


def test_targets_can_be_keys() -> None:
    assert {Target(**_options("host")): Path()}[Target(**_options("host"))] == Path()
