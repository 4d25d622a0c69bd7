"""Arm's FVP: its command line, its output, and what is said where it is absent."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ecgexp.deploy.firmware import Firmware
from ecgexp.deploy.runner import fvp
from ecgexp.deploy.runner.protocol import read_report
from ecgexp.errors import RunnerError
from tests.device.conftest import MakeTarget

# Laid out like the model's output with UART 0 on standard output and --stat.
RECORDED = """\
telnetterminal0: Listening for serial connection on port 5000
telnetterminal1: Listening for serial connection on port 5001

    Ethos-U rev 136b7d75 --- Apr 12 2023 13:44:01
    (C) COPYRIGHT 2019-2023 Arm Limited

START schema=1 model="guide model" windows=2 outputs=4 output_bytes=4 timer=cyccnt ticks_hz=0 \
overhead_ticks=18
INFER index=0 class=1 label="sinus rhythm" confidence_ppm=621489 ticks=749 out=161ae1e7
INFER index=1 class=0 label=N confidence_ppm=993542 ticks=749 out=29eff6fd
STACK bytes=392 reserved=16384
END status=ok
EXITTHESIM

Info: /OSCI/SystemC: Simulation stopped by user.

--- FVP_MPS3_Corstone_SSE_300 statistics: -------------------------------------
Simulated time                          : 0.013842s
User time                               : 0.061120s
System time                             : 0.004012s
Wall time                               : 0.071265s
Performance index                       : 0.19
Total instructions executed             : 345892
-------------------------------------------------------------------------------
"""

SCRIPT = """#!/bin/sh
printf '%s\\n' "$@" > arguments
cat <<'TEXT'
{text}TEXT
"""


def _fake_model(folder: Path, text: str) -> Path:
    folder.mkdir(parents=True)
    model = folder / "FVP_Corstone_SSE-300"
    model.write_text(SCRIPT.format(text=text))
    model.chmod(0o755)
    return model


@pytest.fixture
def image(tmp_path: Path) -> Firmware:
    elf = tmp_path / "firmware.elf"
    elf.write_bytes(b"")
    return Firmware(
        elf=elf,
        map=tmp_path / "firmware.map",
        sections={},
        flash_bytes=0,
        ram_bytes=0,
        golden_bytes=0,
        n_windows=2,
    )


def test_the_command_line_has_every_option() -> None:
    command = fvp.command_line("/fvp/FVP_Corstone_SSE-300", Path("/tmp/a.elf"), 0x10000000)
    assert command[0] == "/fvp/FVP_Corstone_SSE-300"
    assert command[-3:] == ["-a", "/tmp/a.elf", "--stat"]
    parameters = dict(
        value.split("=", 1)
        for flag, value in zip(command[1:-3:2], command[2:-3:2], strict=True)
        if flag == "-C"
    )
    assert parameters == {
        "cpu0.CFGDTCMSZ": "15",
        "cpu0.CFGITCMSZ": "15",
        "cpu0.INITSVTOR": "0x10000000",
        "mps3_board.sse300.iotss3_systemcontrol.INITSVTOR_RST": "0x10000000",
        "mps3_board.uart0.out_file": "-",
        "mps3_board.uart0.unbuffered_output": "1",
        "mps3_board.uart0.shutdown_tag": "EXITTHESIM",
        "mps3_board.visualisation.disable-visualisation": "1",
        "mps3_board.telnetterminal0.start_telnet": "0",
        "mps3_board.telnetterminal1.start_telnet": "0",
        "mps3_board.telnetterminal2.start_telnet": "0",
        "mps3_board.telnetterminal5.start_telnet": "0",
    }


def test_the_recorded_output_is_read() -> None:
    records = fvp.to_records(read_report(RECORDED, n_windows=2))
    assert [record.label for record in records] == ["sinus rhythm", "N"]
    assert [record.instructions for record in records] == [731, 731]
    assert records[0].cycles_est is None
    assert records[0].elapsed_us is None
    np.testing.assert_array_equal(records[1].output_array("int8"), [41, -17, -10, -3])


def test_without_a_cycle_counter_there_is_only_time(caplog: pytest.LogCaptureFixture) -> None:
    text = RECORDED.replace("timer=cyccnt ticks_hz=0", "timer=system_counter ticks_hz=32000000")
    records = fvp.to_records(read_report(text, n_windows=2))
    assert records[0].instructions is None
    assert records[0].elapsed_us == pytest.approx(731 / 32)
    assert "cycle counter stands still" in caplog.text


def test_a_model_from_the_configuration_is_run(
    make_target: MakeTarget, image: Firmware, tmp_path: Path
) -> None:
    model = _fake_model(tmp_path / "arm tools", RECORDED)
    target = make_target("corstone300_m55_fvp", executable=str(model))
    log = fvp.run(image, target, timeout_s=10, folder=tmp_path / "out", cache_folder=tmp_path)
    assert [record.index for record in log.records] == [0, 1]
    assert log.stack_bytes == 392
    arguments = (tmp_path / "out" / "arguments").read_text().splitlines()
    assert arguments[arguments.index("-a") + 1] == str(image.elf)


def test_a_model_on_path_is_found(
    make_target: MakeTarget, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = _fake_model(tmp_path / "bin", RECORDED)
    monkeypatch.setenv("PATH", str(model.parent))
    assert fvp.find_model(make_target("corstone300_m55_fvp")) == str(model)


@pytest.mark.parametrize("executable", ["FVP_Corstone_SSE-300", "/nowhere/FVP"])
def test_its_absence_says_where_it_comes_from(
    executable: str,
    make_target: MakeTarget,
    image: Firmware,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    target = make_target("corstone300_m55_fvp", executable=executable)
    with pytest.raises(RunnerError) as caught:
        fvp.run(image, target, timeout_s=10, folder=tmp_path / "out", cache_folder=tmp_path)
    text = str(caught.value)
    assert f"target.executable = '{executable}'" in text
    assert "Corstone-300 Ecosystem FVP" in text
    assert "EULA" in text
    assert "target=corstone300_m55 (QEMU)" in text
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        pytest.param(lambda text: text.split("STACK")[0], "sent no END record", id="killed"),
        pytest.param(lambda text: "Error: no license\n", "it printed 'Error: no", id="refused"),
    ],
)
def test_a_model_that_fails_is_reported(
    edit: Callable[[str], str],
    message: str,
    make_target: MakeTarget,
    image: Firmware,
    tmp_path: Path,
) -> None:
    model = _fake_model(tmp_path / "bin", edit(RECORDED))
    target = make_target("corstone300_m55_fvp", executable=str(model))
    with pytest.raises(RunnerError, match=message):
        fvp.run(image, target, timeout_s=10, folder=tmp_path / "out", cache_folder=tmp_path)
