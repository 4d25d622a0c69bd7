"""Stand-in networks on the emulated board: outputs, counts, placement, repeatability."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ecgexp.deploy.firmware import Firmware
from ecgexp.deploy.runner import RunLog, qemu
from ecgexp.deploy.runner.plugin import build_plugin
from ecgexp.deploy.runner.protocol import read_report
from ecgexp.errors import BuildError, RunnerError
from tests.device.conftest import Deploy, MakeTarget

LABELS = ("N", "sinus rhythm", 'AF "b\\"', "ré")
pytestmark = [pytest.mark.device, pytest.mark.usefixtures("need_tools")]


def _int8_reference(inputs: np.ndarray) -> np.ndarray:
    weight = np.array([[((7 * c + 3) * e + c) % 23 - 11 for e in range(32)] for c in range(4)])
    sums = inputs.astype(np.int64) @ weight.T
    return np.clip(np.trunc(sums / 128), -128, 127).astype(np.int8)


@pytest.mark.parametrize("option", ["corstone300_m55", "host"])
def test_outputs_labels_and_confidence_are_right(
    option: str,
    make_target: MakeTarget,
    library: Callable[..., Path],
    deploy: Deploy,
    int8_inputs: np.ndarray,
) -> None:
    _, log = deploy(library(), make_target(option))
    outputs = np.stack([record.output_array("int8") for record in log.records])
    np.testing.assert_array_equal(outputs, _int8_reference(int8_inputs))
    real = (outputs.astype(np.float64) + 3) * 0.125
    softmax = np.exp(real) / np.exp(real).sum(axis=1, keepdims=True)
    for record, row in zip(log.records, softmax, strict=True):
        assert record.class_index == int(row.argmax())
        assert record.label == LABELS[record.class_index]
        assert record.confidence == pytest.approx(row.max(), abs=2e-6)


def test_counter_and_plugin_agree_on_helium_code(plain: tuple[Firmware, RunLog]) -> None:
    _, log = plain
    for record in log.records:
        assert record.instructions == sum(record.mix.values())
        # Four classes of two 16-byte dot products, each with two loads.
        assert record.mix["mve_mac"] == 8
        assert 8 + 2 <= record.mix["mve_load_store"] <= 16
        assert record.cycles_est is not None
        assert record.cycles_est >= record.instructions - record.mix["loop_end"]
        assert record.elapsed_us is None
    total = sum(record.instructions or 0 for record in log.records)
    assert sum(cost.instructions for cost in log.profile) == total
    assert log.profile[0].function == "ecgexp_model_run"


def test_counts_repeat_exactly(
    plain: tuple[Firmware, RunLog], make_target: MakeTarget, tmp_path: Path, cache_folder: Path
) -> None:
    image, log = plain
    again = qemu.run(
        image,
        make_target("corstone300_m55"),
        timeout_s=30,
        folder=tmp_path,
        cache_folder=cache_folder,
    )
    counts = [(r.ticks, r.instructions, r.cycles_est, r.mix) for r in log.records]
    assert counts == [(r.ticks, r.instructions, r.cycles_est, r.mix) for r in again.records]


def test_a_known_loop_costs_what_it_must(
    plain: tuple[Firmware, RunLog],
    make_target: MakeTarget,
    library: Callable[..., Path],
    deploy: Deploy,
) -> None:
    base = plain[1].records[0]
    loop = '__asm__ volatile("dls lr, %0\\n1: nop\\nnop\\nle lr, 1b" ::"r"(1000) : "lr");'
    looped = deploy(library(fault=loop), make_target("corstone300_m55"))[1].records[0]
    assert base.instructions is not None
    assert looped.instructions is not None
    # 1000 rounds of two nops and a loop end, which is free; a few instructions to set it up.
    assert 3000 <= looped.instructions - base.instructions <= 3010
    assert looped.mix["loop_end"] - base.mix["loop_end"] == 1000
    assert 2000 <= (looped.cycles_est or 0) - (base.cycles_est or 0) <= 2010


def test_the_estimate_does_not_depend_on_where_code_lies(
    plain: tuple[Firmware, RunLog],
    make_target: MakeTarget,
    library: Callable[..., Path],
    deploy: Deploy,
    tmp_path: Path,
) -> None:
    """QEMU cuts code at the ends of 1 KiB pages; the beat model must not see it."""
    costs = []
    for before_bytes in (64, 1024 - 24):
        body = (
            f".balign 1024\\n.space {before_bytes}, 0\\n.thumb_func\\nstraddle:\\n"
            "mov r2, lr\\ndls lr, r1\\n"
            "1: vldrb.8 q0, [r0]\\nvmladava.s8 r12, q0, q0\\nvldrb.8 q1, [r0]\\n"
            "vadd.i8 q2, q1, q0\\nvldrb.8 q3, [r0]\\nvmladava.s8 r12, q3, q2\\nle lr, 1b\\nbx r2\\n"
        )
        prelude = f'__asm__(".text\\n{body}");\n'
        prelude += "#include <stdint.h>\nvoid straddle(const int8_t *, int32_t);\n"
        folder = library(fault="straddle(input, 1000);", prelude=prelude)
        record = deploy(folder, make_target("corstone300_m55"))[1].records[0]
        costs.append((record.instructions, record.cycles_est))
        shutil.rmtree(folder)
    base = plain[1].records[0]
    assert costs[0] == costs[1]
    # The first load pays two beats after the loop end, the other five overlap.
    assert 7000 <= (costs[0][1] or 0) - (base.cycles_est or 0) <= 7020


def test_float_outputs_are_raw_bits(
    make_target: MakeTarget, library: Callable[..., Path], deploy: Deploy
) -> None:
    inputs = np.array(
        [[1, 2, 3, 4, 5, 6, 7, 8], [-1e-3, 0, 1e30, 0, 0, 0, 0, 0], [np.nan] * 8], np.float32
    )
    _, log = deploy(library("standin_float"), make_target("corstone300_m55"), inputs)
    expected = [[np.sum(row[c::3], dtype=np.float32) for c in range(3)] for row in inputs]
    outputs = np.stack([record.output_array("float32") for record in log.records])
    np.testing.assert_array_equal(outputs, np.array(expected, np.float32))
    assert [record.class_index for record in log.records[:2]] == [1, 2]
    assert log.records[1].confidence == 1.0
    assert log.records[2].confidence == 0.0


def test_stack_high_water_follows_the_stack_in_use(
    plain: tuple[Firmware, RunLog],
    make_target: MakeTarget,
    library: Callable[..., Path],
    deploy: Deploy,
) -> None:
    usual = plain[1].stack_bytes
    hungry = library(fault="volatile uint8_t deep[4000]; deep[0] = 1; (void)deep[0];")
    deeper = deploy(hungry, make_target("corstone300_m55"))[1].stack_bytes
    assert usual is not None
    assert deeper is not None
    assert 200 < usual < 1024
    assert 3600 < deeper - usual < 4100


def test_a_network_too_large_for_the_chip_runs_from_ddr(
    make_target: MakeTarget, library: Callable[..., Path], deploy: Deploy
) -> None:
    prelude = (
        '__attribute__((section(".ecgexp.weights"), used, aligned(16))) '
        "static const uint8_t bulk[3 << 20] = {1};"
    )
    fault = "if (bulk[0] != 1u || bulk[sizeof bulk - 1] != 0u) { return 1; }"
    big = library(fault=fault, prelude=prelude)
    image, log = deploy(big, make_target("cortex_m55_large"))
    assert image.flash_bytes > 3 << 20
    assert len(log.records) == 6
    with pytest.raises(BuildError, match=r"ssram has 2097152 bytes but needs 31458\d\d"):
        deploy(big, make_target("corstone300_m55"))


def test_the_plugin_is_compiled_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = build_plugin(tmp_path / "cache, with comma")
    stamp = first.stat().st_mtime_ns
    monkeypatch.setenv("PATH", str(tmp_path))
    assert build_plugin(tmp_path / "cache, with comma") == first
    assert first.stat().st_mtime_ns == stamp
    with pytest.raises(BuildError, match="none of gcc, cc, clang is on PATH") as caught:
        build_plugin(tmp_path / "other")
    assert "apt-get install gcc libc6-dev" in str(caught.value)


def test_no_emulator_names_it(
    plain: tuple[Firmware, RunLog], make_target: MakeTarget, tmp_path: Path
) -> None:
    target = make_target("corstone300_m55", executable="qemu-system-arm-of-nowhere")
    with pytest.raises(RunnerError, match="qemu-system-arm-of-nowhere is not on PATH"):
        qemu.run(plain[0], target, timeout_s=1, folder=tmp_path / "r", cache_folder=tmp_path / "c")
    assert not (tmp_path / "r").exists()


def test_no_emulator_on_path_names_its_package(
    plain: tuple[Firmware, RunLog],
    make_target: MakeTarget,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    target = make_target("corstone300_m55")
    with pytest.raises(RunnerError, match="apt-get install qemu-system-arm"):
        qemu.run(plain[0], target, timeout_s=1, folder=tmp_path / "r", cache_folder=tmp_path / "c")


def test_the_serial_log_is_kept(plain: tuple[Firmware, RunLog]) -> None:
    assert len(read_report(plain[1].raw_log.read_text(), n_windows=6).answers) == 6


def test_the_command_line_escapes_commas() -> None:
    command = qemu.command_line("qemu", "mps3-an547", Path("/a,b/x.elf"), Path("/a,b/count.so"))
    assert command[command.index("-plugin") + 1].startswith("/a,,b/count.so,regions=")
    assert command[command.index("-icount") + 1] == "shift=10"
    assert command[command.index("-kernel") + 1] == "/a,b/x.elf"
