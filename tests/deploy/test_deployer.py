from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from ecgexp.deploy.deployer import Deployer
from ecgexp.deploy.nothing import NoDeploy
from ecgexp.errors import BuildError, ConfigError
from ecgexp.quantization.bundle import bundle_from_onnx
from ecgexp.resources import resource_folder
from tests import networks
from tests.deploy import nets
from tests.deploy.conftest import deployer_options, load_target
from tests.deploy.merge import input_shape, merge
from tests.deploy.zoo import ZOO, int8_with_ties

NO_LIMITS: dict[str, float | None] = dict.fromkeys(("flash_bytes", "ram_bytes", "instructions"))


def _deployer(tmp_path: Path, **changes: Any) -> Deployer:
    return Deployer(**deployer_options(tmp_path / "cache", **{"n_golden": 4, **changes}))


def _bundle(onnx: Path, tmp_path: Path, n_golden: int = 4) -> Any:
    return bundle_from_onnx(onnx, None, tmp_path / "bundle", seed=1, n_golden=n_golden)


@pytest.mark.parametrize(("name", "kind"), [("tvm", Deployer), ("none", NoDeploy)])
def test_options_bind(name: str, kind: Callable[..., Any]) -> None:
    options = yaml.safe_load((resource_folder("conf") / "deploy" / f"{name}.yaml").read_text())
    assert options.pop("_target_") == f"{kind.__module__}.{kind.__qualname__}"
    inspect.signature(kind).bind(**options)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_golden": 0}, "deploy.n_golden=0"),
        ({"timeout_s": 0.0}, "deploy.timeout_s=0.0"),
        ({"allow_float_ops": -1}, "deploy.allow_float_ops=-1"),
        ({"profile": "all"}, "deploy.profile=all: write none or layers"),
        ({"pack_int4": "yes"}, "deploy.pack_int4='yes': write auto, true or false"),
        ({"limits": {"flash": 1}}, r"deploy.limits has the keys \['flash'\]"),
        (
            {"limits": {"flash_bytes": -5, "ram_bytes": None, "instructions": None}},
            "deploy.limits.flash_bytes=-5",
        ),
    ],
)
def test_bad_option_is_refused(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        _deployer(tmp_path, **changes)


def test_null_stage_says_that_it_does_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bundle = _bundle(ZOO["dense_only"](tmp_path / "f.onnx"), tmp_path)
    caplog.set_level("INFO")
    assert NoDeploy(n_golden=4).deploy(bundle, load_target("host"), tmp_path / "deploy") is None
    assert "deploy=none" in caplog.text
    assert not (tmp_path / "deploy").exists()


def test_int8_network_on_this_machine(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    onnx = nets.quantize(ZOO["squeeze_excite"](tmp_path / "f.onnx"), tmp_path / "q.onnx")
    report = _deployer(tmp_path).deploy(
        _bundle(onnx, tmp_path), load_target("host"), tmp_path / "out"
    )
    assert report.metrics["golden_equal"] == 1.0
    assert report.metrics["elapsed_us"] > 0
    assert "instructions" not in report.metrics
    assert report.deployable
    assert all(path.exists() for path in report.artefacts)
    assert len(report.inferences) == 4
    last = report.inferences[-1]
    said = f"Confidence is {last.confidence:f}; Label is {last.label}"
    assert re.search(rf"Index is \d; {re.escape(said)}", caplog.text)


def test_arbitrary_scales_agree_with_one_of_the_two_answers_of_onnx_runtime(tmp_path: Path) -> None:
    bundle = _bundle(int8_with_ties(tmp_path / "q.onnx"), tmp_path, n_golden=40)
    report = _deployer(tmp_path, n_golden=40).deploy(bundle, load_target("host"), tmp_path / "out")
    assert report.metrics["golden_equal"] == 1.0
    assert 0 < report.metrics["golden_as_written"] < 1
    assert report.deployable


def test_network_over_the_memory_fails_before_the_build(tmp_path: Path) -> None:
    target = load_target("corstone300_m55")
    regions = {name: dict(region) for name, region in target.memory.items()}
    regions["ssram"]["size_bytes"] = 1024
    regions["sram"]["size_bytes"] = 1024
    small = load_target("corstone300_m55", memory=regions)
    bundle = _bundle(ZOO["residual"](tmp_path / "f.onnx"), tmp_path)
    with pytest.raises(BuildError) as caught:
        _deployer(tmp_path).deploy(bundle, small, tmp_path / "out")
    assert "does not fit target corstone300_m55" in str(caught.value)
    assert "sram has 1024 bytes but needs" in str(caught.value)
    assert "cortex_m55_large" in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_broken_golden_file_is_named(tmp_path: Path) -> None:
    bundle = _bundle(ZOO["residual"](tmp_path / "f.onnx"), tmp_path)
    np.savez(bundle.golden, x=np.zeros((1, 1, 40), np.float32))
    with pytest.raises(BuildError, match=r"golden\.npz has no golden windows x and y"):
        _deployer(tmp_path).deploy(bundle, load_target("host"), tmp_path / "out")


@pytest.mark.device
@pytest.mark.slow
@pytest.mark.usefixtures("need_device")
@pytest.mark.parametrize("make", [networks.guide_int8, networks.guide_float])
def test_guide_network_on_the_emulator_equals_onnx_runtime(
    make: Callable[[Path], Path], tmp_path: Path
) -> None:
    report = _deployer(tmp_path).deploy(
        _bundle(make(tmp_path), tmp_path), load_target("corstone300_m55"), tmp_path / "out"
    )
    assert report.metrics["golden_equal"] == 1.0
    assert report.metrics["macs"] == 763_952
    assert report.metrics["float_ops"] == 0
    assert 0 < report.metrics["instructions"] < report.metrics["cycles_est"]


def test_a_network_without_4_bit_weights_is_refused_where_they_are_wanted(tmp_path: Path) -> None:
    onnx = nets.quantize(ZOO["dense_only"](tmp_path / "f.onnx"), tmp_path / "q.onnx")
    deployer = _deployer(tmp_path, pack_int4=True)
    with pytest.raises(BuildError, match=r"pack_int4=true: no convolution or dense layer .* to 7"):
        deployer.deploy(_bundle(onnx, tmp_path), load_target("corstone300_m55"), tmp_path / "out")


@pytest.mark.device
@pytest.mark.usefixtures("need_device")
def test_4_bit_weights_take_less_flash_and_give_the_same_bytes(tmp_path: Path) -> None:
    onnx = nets.quantize(ZOO["squeeze_excite"](tmp_path / "f.onnx"), tmp_path / "q.onnx")
    bundle = _bundle(nets.narrow(onnx, tmp_path / "narrow.onnx"), tmp_path)
    target = load_target("corstone300_m55")
    found = {}
    for pack in (True, False):
        report = _deployer(tmp_path, pack_int4=pack).deploy(bundle, target, tmp_path / str(pack))
        assert report.metrics["golden_equal"] == 1.0
        found[pack] = report.metrics
    assert found[True]["flash_bytes"] < found[False]["flash_bytes"]
    assert found[True]["instructions"] < 1.05 * found[False]["instructions"]
    profile = (tmp_path / "True" / "profile.csv").read_text()
    assert "conv1d_int4_" in profile


def _by_input_shape(folder: Path) -> dict[tuple[int, ...], list[str]]:
    """Group the zoo into networks that one build can hold; a softmax can only end one."""
    groups: dict[tuple[int, ...], list[str]] = {}
    for name in sorted(ZOO):
        shape = (0,) if name == "softmax" else input_shape(name, folder)
        groups.setdefault(shape, []).append(name)
    return groups


@pytest.mark.device
@pytest.mark.slow
@pytest.mark.usefixtures("need_device")
def test_every_operator_on_the_emulator_equals_onnx_runtime(tmp_path: Path) -> None:
    groups = _by_input_shape(tmp_path)
    assert sum(len(names) for names in groups.values()) == len(ZOO)
    for number, names in enumerate(groups.values()):
        folder = tmp_path / str(number)
        folder.mkdir()
        float_onnx = ZOO[names[0]](folder / "f.onnx") if len(names) == 1 else merge(names, folder)
        onnx = nets.quantize(float_onnx, folder / "q.onnx")
        deployer = _deployer(tmp_path, limits={**NO_LIMITS, "instructions": 10})
        report = deployer.deploy(_bundle(onnx, folder), load_target("corstone300_m55"), folder)
        assert report.metrics["golden_equal"] == 1.0, names
        (violation,) = report.limit_violations
        assert violation.endswith("exceeds deploy.limits.instructions=10")
