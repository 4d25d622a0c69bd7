"""Deploy one bench network through the real export, quantization and deploy stages."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ecgexp.config.build import build
from ecgexp.config.compose import compose
from ecgexp.deploy.runner.counting import read_regions
from ecgexp.quantization.bundle import bundle_from_onnx
from tests import networks
from tests.bench.device_cases import Case
from tests.deploy.nets import narrow

N_GOLDEN = 4


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What one case costs per inference; median over the golden windows."""

    instructions: int
    cycles_est: int | None
    flash_bytes: int | None
    ram_bytes: int | None
    golden_equal: float
    mix: dict[str, int]


def run_case(case: Case, folder: Path) -> Outcome:
    """Export, quantize, compile, build and run one case.

    Args:
        case: What to run.
        folder: Gets all files; networks are kept below it for the next case.
    """
    onnx = _network(case, folder / "networks")
    place = folder / case.target / case.name
    golden = place.with_name(f"{place.name}.npz")
    golden.parent.mkdir(parents=True, exist_ok=True)
    np.savez(golden, x=networks.windows(N_GOLDEN, 1, networks.NETS[case.net].spec))
    bundle = bundle_from_onnx(onnx, golden, place / "bundle", seed=0, n_golden=N_GOLDEN)
    words = [f"target={case.target}", f"deploy.cache_dir={folder / 'cache'}"]
    config = compose("config", words).config
    target = build(config["target"], path="target")
    deployer = build({**config["deploy"], "n_golden": N_GOLDEN}, path="deploy")
    report = deployer.deploy(bundle, target, place)
    metrics = report.metrics
    counts = {key: metrics.get(key) for key in ("instructions", "cycles_est")}
    mix = read_regions(place / "run" / "regions.jsonl")[0].mix
    if case.layer_only:
        counts, mix = _heaviest_layer(place / "profile.csv"), {}
    return Outcome(
        instructions=round(counts["instructions"] or 0),
        cycles_est=None if counts["cycles_est"] is None else round(counts["cycles_est"]),
        flash_bytes=None if case.layer_only else round(metrics["flash_bytes"]),
        ram_bytes=None if case.layer_only else round(metrics["ram_bytes"]),
        golden_equal=metrics["golden_equal"],
        mix=mix,
    )


def _network(case: Case, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    onnx = folder / f"{case.name}.onnx"
    if not onnx.is_file():
        if case.scheme == "float":
            networks.float_onnx(case.net, folder)
        else:
            int8 = networks.int8_onnx(case.net, folder)
            if case.scheme == "int4":
                narrow(int8, onnx)
    return onnx


def _heaviest_layer(profile: Path) -> dict[str, float | None]:
    with profile.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    heaviest = max(rows, key=lambda row: int(row["macs"]))
    cycles = heaviest["cycles_est"]
    return {
        "instructions": float(heaviest["instructions"]),
        "cycles_est": float(cycles) if cycles else None,
    }
