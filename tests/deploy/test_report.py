from __future__ import annotations

import csv
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from ecgexp.deploy.golden import FLOAT_TOLERANCE, Golden, agrees, read_golden
from ecgexp.deploy.report import Evidence, violations, write_report
from ecgexp.deploy.runner import FunctionCost, Record, RunLog
from ecgexp.errors import RunnerError

NO_LIMITS = {"flash_bytes": None, "ram_bytes": None, "instructions": None}


def _evidence(
    tmp_path: Path,
    outputs: list[list[int]],
    golden: list[list[float]],
    fused: list[list[float]] | None = None,
) -> Evidence:
    def dequantise(codes: np.ndarray) -> np.ndarray:
        return codes.astype(np.float32) * np.float32(0.5)

    library = SimpleNamespace(
        folder=tmp_path / "library",
        macs=1000,
        arena_bytes=512,
        weight_bytes=300,
        output_dtype="int8",
        dequantise_outputs=dequantise,
    )
    step = SimpleNamespace(symbol="k0", kernel=SimpleNamespace(macs=1000), origin="ONNX Conv 'c'")
    program = SimpleNamespace(steps=(step,), float_ops=())
    records = tuple(
        Record(
            index=i,
            label="N",
            class_index=0,
            confidence=0.9,
            outputs=np.array(row, np.int8).tobytes(),
            ticks=10,
            instructions=500 + 10 * i,
            cycles_est=800 + 10 * i,
            elapsed_us=None,
        )
        for i, row in enumerate(outputs)
    )
    profile = (FunctionCost(function="k0", instructions=1200, cycles_est=2000),)
    firmware: Any = SimpleNamespace(
        elf=tmp_path / "f.elf",
        map=tmp_path / "f.map",
        sections={".text": 4000},
        flash_bytes=5000,
        total_ram_bytes=lambda stack: 700 + (stack or 0),
    )
    compiled: Any = SimpleNamespace(program=program, library=library)
    target: Any = SimpleNamespace(name="board", fidelity="emulated-instructions", clock_hz=1e6)
    return Evidence(
        name="net",
        compiled=compiled,
        firmware=firmware,
        run_log=RunLog(
            records=records, stack_bytes=200, raw_log=tmp_path / "uart.log", profile=profile
        ),
        golden=Golden(
            x=np.zeros((len(golden), 1, 4), np.float32),
            y=np.array(golden, np.float32),
            y_fused=None if fused is None else np.array(fused, np.float32),
        ),
        target=target,
    )


def test_metrics_are_medians_under_their_own_names(tmp_path: Path) -> None:
    rows = [[2, 4], [6, 8], [1, 1]]
    evidence = _evidence(tmp_path, rows, [[1, 2], [3, 4], [0.5, 0.5]])
    result = write_report(evidence, "ptq_int8", NO_LIMITS, tmp_path, profile="none")
    assert result.metrics == {
        "macs": 1000,
        "flash_bytes": 5000,
        "ram_bytes": 900,
        "arena_bytes": 512,
        "weight_bytes": 300,
        "stack_bytes": 200,
        "float_ops": 0,
        "golden_equal": 1.0,
        "instructions": 510.0,
        "cycles_est": 810.0,
        "instructions_per_mac": 0.51,
        "latency_est_ms": 0.81,
    }
    assert result.deployable
    assert result.fidelity == "emulated-instructions"


def test_tables_hold_spread_and_profile(tmp_path: Path) -> None:
    evidence = _evidence(tmp_path, [[2, 4], [6, 8]], [[1, 2], [3, 4]])
    write_report(evidence, "ptq_int8", NO_LIMITS, tmp_path, profile="none")
    with (tmp_path / "counts.csv").open() as stream:
        counts = {row["per_inference"]: row for row in csv.DictReader(stream)}
    assert counts["instructions"] == {
        "per_inference": "instructions",
        "min": "500.0",
        "median": "505.0",
        "max": "510.0",
    }
    assert "elapsed_us" not in counts
    with (tmp_path / "profile.csv").open() as stream:
        (row,) = csv.DictReader(stream)
    assert row["instructions"] == "600"
    assert row["operators"] == "ONNX Conv 'c'"


def test_one_wrong_bit_is_reported_and_not_deployable(tmp_path: Path) -> None:
    evidence = _evidence(tmp_path, [[2, 4], [6, 9]], [[1, 2], [3, 4]])
    result = write_report(evidence, "ptq_int8", NO_LIMITS, tmp_path, profile="none")
    assert result.metrics["golden_equal"] == 0.5
    assert [inference.equal for inference in result.inferences] == [True, False]
    assert result.limit_violations == (
        "golden_equal 0.5000: some outputs differ from ONNX Runtime",
    )
    assert not result.deployable


def test_either_answer_of_onnx_runtime_counts_and_the_second_is_reported(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    rows = [[2, 4], [6, 9], [1, 2], [5, 5]]
    written = [[1, 2], [3, 4], [0.5, 1], [0, 0]]
    fused = [[1, 2.5], [3, 4.5], [0.5, 1], [1, 1]]
    result = write_report(
        _evidence(tmp_path, rows, written, fused), "ptq_int8", NO_LIMITS, tmp_path, profile="none"
    )
    assert [inference.equal for inference in result.inferences] == [True, True, True, False]
    assert result.metrics["golden_equal"] == 0.75
    assert result.metrics["golden_as_written"] == 0.5
    assert "1 of 4 golden outputs equal ONNX Runtime's integer kernels" in caplog.text
    assert len(caplog.records) == 1


def test_golden_file_of_a_float_network_has_one_answer(tmp_path: Path) -> None:
    np.savez(tmp_path / "g.npz", x=np.zeros((3, 1, 4)), y=np.ones((3, 2)))
    golden = read_golden(tmp_path / "g.npz", 2)
    assert golden.y_fused is None
    assert golden.x.shape == (2, 1, 4)
    assert golden.judge(0, np.ones(2, np.float32), is_float=True) == (True, True)


def test_missing_answers_are_an_error(tmp_path: Path) -> None:
    evidence = _evidence(tmp_path, [[2, 4]], [[1, 2], [3, 4]])
    with pytest.raises(RunnerError, match=r"board answered 1 of 2 windows: see .*uart\.log"):
        write_report(evidence, "ptq_int8", NO_LIMITS, tmp_path, profile="none")


def test_limits_name_metric_value_and_key() -> None:
    metrics = {"golden_equal": 1.0, "flash_bytes": 70000.0, "ram_bytes": 10.0}
    limits = {"flash_bytes": 65536, "ram_bytes": 10, "instructions": 5}
    assert violations(metrics, limits) == (
        "flash_bytes 70000 exceeds deploy.limits.flash_bytes=65536",
    )


def test_float_outputs_agree_within_the_tolerance() -> None:
    expected = np.array([4.0, -2.0], np.float32)
    near = expected + np.float32(0.9 * FLOAT_TOLERANCE * 4)
    far = expected + np.float32(1.2 * FLOAT_TOLERANCE * 4)
    assert agrees(near, expected, is_float=True)
    assert not agrees(far, expected, is_float=True)
    assert not agrees(near, expected, is_float=False)
    assert not agrees(np.array([np.nan, -2.0], np.float32), expected, is_float=True)
