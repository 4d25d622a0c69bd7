"""Firmware that crashes, hangs, babbles or gives up: one clear error each."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ecgexp.errors import RunnerError
from tests.device.conftest import Deploy, MakeTarget

pytestmark = [pytest.mark.device, pytest.mark.usefixtures("need_tools")]

PUTC = "#include <stdint.h>\nvoid ecgexp_port_putc(char c);\n"
RECURSE = """
static int32_t __attribute__((noinline)) recurse(int32_t depth) {
    volatile int32_t ballast[64];
    ballast[0] = depth;
    return depth < 100000 ? recurse(depth + 1) + ballast[0] : 0;
}
"""


@pytest.mark.parametrize(
    ("fault", "prelude", "messages"),
    [
        pytest.param(
            "output[0] = *(volatile int8_t *)0x08000000u;",
            "",
            [
                "bus fault",
                "pc 0x1000",
                "in ecgexp_model_run ",
                "(/model/model.c:",
                "address 0x08000000",
            ],
            id="bad-address",
        ),
        pytest.param(
            '__asm__ volatile("udf #0");',
            "",
            ["usage fault", "in ecgexp_model_run", "cfsr 0x00010000"],
            id="undefined-instruction",
        ),
        pytest.param(
            "output[0] = (int8_t)recurse(0); (void)sum;",
            RECURSE,
            ["stack_overflow fault (cfsr 0x00100000", "raise target.stack_bytes"],
            id="stack-overflow",
        ),
        pytest.param(
            "volatile int32_t zero = 0; output[0] = (int8_t)(input[0] / zero);",
            "",
            ["usage fault", "in ecgexp_model_run", "cfsr 0x02000000"],
            id="division-by-zero",
        ),
    ],
)
def test_a_crash_names_its_place(
    fault: str,
    prelude: str,
    messages: list[str],
    make_target: MakeTarget,
    library: Callable[..., Path],
    deploy: Deploy,
) -> None:
    with pytest.raises(RunnerError) as caught:
        deploy(library(fault=fault, prelude=prelude), make_target("corstone300_m55"))
    text = str(caught.value)
    assert "the firmware crashed on target corstone300_m55" in text
    for message in messages:
        assert message in text


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8", "replace")
    except OSError:
        return ""  # the process ended meanwhile


@pytest.mark.parametrize("option", ["corstone300_m55", "host"])
def test_a_hang_ends_at_the_time_limit_and_shows_the_last_line(
    option: str,
    make_target: MakeTarget,
    library: Callable[..., Path],
    deploy: Deploy,
    tmp_path: Path,
) -> None:
    hanging = library(fault="for (volatile int32_t i = 1; i != 0;) { }")
    started = time.monotonic()
    with pytest.raises(RunnerError) as caught:
        deploy(hanging, make_target(option), timeout_s=1.0)
    assert time.monotonic() - started < 15
    text = str(caught.value)
    assert f"the firmware hangs on target {option}: no END within 1 s" in text
    assert "raise deploy.timeout_s" in text
    assert "its last line is 'START schema=1" in text
    assert not [p for p in Path("/proc").glob("[0-9]*/cmdline") if str(tmp_path) in _read(p)]


@pytest.mark.parametrize("option", ["corstone300_m55", "host"])
def test_garbage_is_quoted(
    option: str, make_target: MakeTarget, library: Callable[..., Path], deploy: Deploy
) -> None:
    babble = 'for (const char *c = "\\x01 nonsense\\n"; *c != 0; ++c) { ecgexp_port_putc(*c); }'
    with pytest.raises(RunnerError, match=r"printed garbage: '\\x01 nonsense'"):
        deploy(library(fault=babble, prelude=PUTC), make_target(option))


@pytest.mark.parametrize("option", ["corstone300_m55", "host"])
def test_an_early_exit_without_end_is_a_failure(
    option: str, make_target: MakeTarget, library: Callable[..., Path], deploy: Deploy
) -> None:
    prelude = "_Noreturn void ecgexp_port_halt(int status);"
    stopping = library(fault="ecgexp_port_halt(0);", prelude=prelude)
    with pytest.raises(RunnerError, match="sent no END record; its last line is 'START schema=1"):
        deploy(stopping, make_target(option))


def test_a_network_that_reports_a_failure(
    make_target: MakeTarget, library: Callable[..., Path], deploy: Deploy
) -> None:
    with pytest.raises(RunnerError, match="gave up with status=model after"):
        deploy(library(fault="if (input[0] != 77) { return 1; }"), make_target("corstone300_m55"))


def test_writing_behind_the_arena_is_noticed(
    make_target: MakeTarget, library: Callable[..., Path], deploy: Deploy
) -> None:
    overrun = library(fault="((int8_t *)arena)[ECGEXP_ARENA_BYTES] = 0;")
    with pytest.raises(RunnerError, match="gave up with status=arena_overrun"):
        deploy(overrun, make_target("corstone300_m55"))


def test_a_program_that_dies_on_the_host_says_how(
    make_target: MakeTarget, library: Callable[..., Path], deploy: Deploy
) -> None:
    with pytest.raises(RunnerError, match=r"target host: .*exit status -\d+"):
        deploy(library(fault="__builtin_trap();"), make_target("host"))


def test_an_emulator_that_refuses_is_quoted(
    make_target: MakeTarget, library: Callable[..., Path], deploy: Deploy
) -> None:
    with pytest.raises(RunnerError) as caught:
        deploy(library(), make_target("corstone300_m55", machine="no-such-board"))
    assert "it printed nothing (exit status 1); qemu said: " in str(caught.value)
    assert "unsupported machine type" in str(caught.value)
