"""Running windows one by one: order, borders, messages, and no hidden batch effects."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from ecgexp.errors import ExportError
from ecgexp.quantization.evaluate import check_drop, check_export
from ecgexp.quantization.reference import open_session, run_onnx


def test_each_window_gets_its_own_answer(example: Any) -> None:
    together = run_onnx(example.int8_onnx, example.x)
    order = np.random.default_rng(0).permutation(len(example.x))
    np.testing.assert_array_equal(run_onnx(example.int8_onnx, example.x[order]), together[order])
    alone = run_onnx(example.int8_onnx, example.x[7:8])
    np.testing.assert_array_equal(alone, together[7:8])


def test_equals_a_bare_session(example: Any) -> None:
    session = open_session(example.float_onnx)
    expected = [session.run(None, {"x": window[None]})[0][0] for window in example.x[:5]]
    np.testing.assert_array_equal(run_onnx(example.float_onnx, example.x[:5]), expected)


def test_uses_one_thread_and_no_optimisation(example: Any) -> None:
    options = open_session(example.float_onnx).get_session_options()
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (1, 1)
    assert options.graph_optimization_level.name == "ORT_DISABLE_ALL"


def test_reads_a_memmap_and_float64(example: Any, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", example.x[:4].astype(np.float64))
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    np.testing.assert_array_equal(
        run_onnx(example.float_onnx, mapped), run_onnx(example.float_onnx, example.x[:4])
    )


def test_no_window_gives_no_row(example: Any) -> None:
    assert run_onnx(example.float_onnx, example.x[:0]).shape == (0, 3)


def test_refuses_windows_of_another_signal(example: Any) -> None:
    message = r"input x takes windows of shape \(2, 101\), got \(1, 101\): .* another signal"
    with pytest.raises(ExportError, match=message):
        run_onnx(example.float_onnx, example.x[:, :1])


def test_refuses_a_broken_file(example: Any, tmp_path: Path) -> None:
    path = tmp_path / "cut.onnx"
    path.write_bytes(example.float_onnx.read_bytes()[:500])
    with pytest.raises(ExportError, match=r"cut\.onnx: ONNX Runtime cannot load it .* export it"):
        run_onnx(path, example.x)
    with pytest.raises(ExportError, match=r"none\.onnx: ONNX Runtime cannot load it"):
        run_onnx(tmp_path / "none.onnx", example.x)


def test_names_an_operator_nobody_knows(example: Any, tmp_path: Path) -> None:
    model = onnx.load(example.float_onnx)
    model.graph.node[-1].op_type = "Wobble"
    model.graph.node[-1].domain = "acme"
    model.opset_import.append(onnx.helper.make_opsetid("acme", 1))
    onnx.save(model, tmp_path / "odd.onnx")
    with pytest.raises(ExportError, match=r"odd\.onnx.*Wobble"):
        run_onnx(tmp_path / "odd.onnx", example.x)


def test_drop_above_the_limit_is_named() -> None:
    check_drop(0.3, None)
    check_drop(0.02, 0.02)
    check_drop(-0.01, 0.0)
    message = r"quantization\.max_drop=0\.02: int8 loses 0\.0213 .* quantization\.method=percentile"
    with pytest.raises(ExportError, match=message):
        check_drop(0.02134, 0.02)


def test_an_unfaithful_export_is_named() -> None:
    logits = np.array([[10.0, -4.0]], np.float32)
    check_export(logits, logits + np.float32(0.005))
    with pytest.raises(ExportError, match=r"differs from the trained one by 0\.1 in a logit"):
        check_export(logits, logits + np.float32(0.1))
    with pytest.raises(ExportError, match="differs from the trained one by nan"):
        check_export(logits, logits * np.float32(np.nan))
