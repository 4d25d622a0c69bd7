"""Cortex-M4, M7 and M33 on QEMU's MPS2 boards: counts, outputs, faults; Cortex-M85 builds."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ecgexp.config.build import build
from ecgexp.config.compose import compose
from ecgexp.errors import RunnerError
from ecgexp.quantization.bundle import bundle_from_onnx
from ecgexp.types import DeployReport
from tests import networks
from tests.device.conftest import Deploy, MakeTarget
from tests.device.test_failures import RECURSE
from tests.device.test_qemu import _int8_reference

pytestmark = [pytest.mark.device, pytest.mark.usefixtures("need_tools")]
CORES = ("cortex_m4", "cortex_m7", "cortex_m33")


@pytest.mark.parametrize("option", CORES)
def test_a_known_loop_costs_what_it_must(
    option: str,
    make_target: MakeTarget,
    library: Callable[..., Path],
    deploy: Deploy,
    int8_inputs: np.ndarray,
) -> None:
    loop = '__asm__ volatile("1: nop\\nsubs %0, %0, #1\\nbne 1b" ::"r"(rounds) : "cc");'
    costs = []
    for rounds in (1000, 3000):
        folder = library(fault=f"int rounds = {rounds}; {loop}")
        _, log = deploy(folder, make_target(option))
        outputs = np.stack([record.output_array("int8") for record in log.records])
        np.testing.assert_array_equal(outputs, _int8_reference(int8_inputs))
        costs.append(log.records[0].instructions or 0)
        shutil.rmtree(folder)
    assert costs[1] - costs[0] == 3 * 2000
    assert {(record.cycles_est, record.elapsed_us) for record in log.records} == {(None, None)}
    assert log.profile[0].cycles_est is None
    assert sum(cost.instructions for cost in log.profile) == sum(
        record.instructions or 0 for record in log.records
    )


@pytest.mark.parametrize("option", CORES)
def test_crashes_and_stack_overflows_are_told_apart(
    option: str, make_target: MakeTarget, library: Callable[..., Path], deploy: Deploy
) -> None:
    folder = library(fault="output[0] = (int8_t)recurse(0); (void)sum;", prelude=RECURSE)
    with pytest.raises(RunnerError, match=r"stack_overflow fault .*raise target.stack_bytes"):
        deploy(folder, make_target(option))
    shutil.rmtree(folder)
    wild = library(fault="output[0] = *(volatile int8_t *)0x70000000u;")
    with pytest.raises(RunnerError, match=r"crashed on target \w+: bus fault.*in ecgexp_model_run"):
        deploy(wild, make_target(option))


@pytest.mark.slow
@pytest.mark.parametrize("option", CORES)
@pytest.mark.parametrize("make", [networks.guide_int8, networks.guide_float])
def test_guide_network_equals_onnx_runtime(
    make: Callable[[Path], Path], option: str, tmp_path: Path
) -> None:
    report = _deploy(make(tmp_path), option, tmp_path)
    assert report.metrics["golden_equal"] == 1.0
    assert report.metrics["instructions"] > report.metrics["macs"] == 763_952
    assert not {"cycles_est", "latency_est_ms"} & set(report.metrics)
    assert report.fidelity == "emulated-instructions"
    assert report.deployable


@pytest.mark.slow
def test_a_core_without_emulator_is_built_and_says_so(tmp_path: Path) -> None:
    report = _deploy(networks.guide_int8(tmp_path), "cortex_m85", tmp_path)
    assert report.fidelity == "not-run"
    assert report.inferences == ()
    assert not {"instructions", "golden_equal", "stack_bytes"} & set(report.metrics)
    assert report.metrics["flash_bytes"] > 40_000
    assert report.limit_violations == ("not run: no output was compared with ONNX Runtime",)


def _deploy(onnx: Path, option: str, folder: Path) -> DeployReport:
    golden = folder / "golden.npz"
    np.savez(golden, x=networks.windows(3, 1))
    bundle = bundle_from_onnx(onnx, golden, folder / "bundle", seed=0, n_golden=3)
    config = compose(
        "config", [f"target={option}", "deploy=tvm", f"deploy.cache_dir={folder / 'cache'}"]
    ).config
    deployer = build(config["deploy"], path="deploy")
    report: DeployReport = deployer.deploy(
        bundle, build(config["target"], path="target"), folder / "out"
    )
    return report
