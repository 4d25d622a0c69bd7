"""The reader of the firmware's records: what it takes and what it calls garbage."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecgexp.deploy.runner.protocol import find_fault, parse_line, read_report
from ecgexp.errors import RunnerError

START = (
    'START schema=1 model="stand-in int8" windows=2 outputs=4 output_bytes=4 '
    "timer=system_counter ticks_hz=32000000 overhead_ticks=590"
)
FIRST = 'INFER index=0 class=1 label="sinus rhythm" confidence_ppm=621489 ticks=24543 out=161ae1e7'
SECOND = "INFER index=1 class=0 label=N confidence_ppm=993542 ticks=24544 out=29eff6fd"
STACK = "STACK bytes=392 reserved=16384"
WHOLE = "\n".join([START, FIRST, SECOND, STACK, "END status=ok", "EXITTHESIM"])


def test_a_whole_report() -> None:
    report = read_report(WHOLE, n_windows=2)
    assert (report.timer, report.ticks_hz, report.overhead_ticks) == ("system_counter", 32e6, 590)
    assert report.stack_bytes == 392
    first, second = report.answers
    assert (first.index, first.label, first.class_index) == (0, "sinus rhythm", 1)
    assert first.confidence == pytest.approx(0.621489)
    assert (first.ticks, first.outputs) == (24543, b"\x16\x1a\xe1\xe7")
    assert (second.label, second.ticks) == ("N", 24544)


def test_what_a_simulator_says_around_the_report_is_skipped() -> None:
    text = f"telnetterminal0: Listening for serial connection on port 5000\n\n{WHOLE}\n\nInfo: done"
    assert len(read_report(text, n_windows=2).answers) == 2


def test_a_report_without_a_stack_figure() -> None:
    assert read_report(WHOLE.replace(STACK + "\n", ""), n_windows=2).stack_bytes is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("", "no START record: it printed nothing", id="silent"),
        pytest.param("hello\nworld", "no START record: it printed 'hello' first", id="no-start"),
        pytest.param(WHOLE.replace("schema=1", "schema=9"), "speaks another protocol", id="schema"),
        pytest.param(
            WHOLE.replace(SECOND, "\x01\x02 what is this"),
            r"printed garbage: '\\x01\\x02 what is this'",
            id="garbage",
        ),
        pytest.param(WHOLE.replace(SECOND, SECOND + '"'), "printed garbage", id="stray-quote"),
        pytest.param(WHOLE.replace(SECOND, SECOND + " ticks=1"), "printed garbage", id="key-twice"),
        pytest.param(
            WHOLE.replace("label=N", 'label="\\xff"'), "text that is not UTF-8", id="utf-8"
        ),
        pytest.param(
            WHOLE.replace("\nEND status=ok", ""), "no END record; its last line is", id="no-end"
        ),
        pytest.param(
            "\n".join([START, FIRST]), "no END record; its last line is 'INFER index=0", id="cut"
        ),
        pytest.param(
            WHOLE.replace("status=ok", "status=arena_overrun"),
            "gave up with status=arena_overrun",
            id="failed",
        ),
        pytest.param(
            WHOLE.replace(SECOND + "\n", ""), "1 inferences for 2 golden windows", id="missing"
        ),
        pytest.param(
            WHOLE.replace("index=1", "index=0"), "2 inferences for 2 golden windows", id="order"
        ),
        pytest.param(WHOLE.replace("29eff6fd", "29ef"), "out is not 4 bytes", id="short"),
        pytest.param(WHOLE.replace("29eff6fd", "29efzzfd"), "out is not 4 bytes", id="not-hex"),
        pytest.param(WHOLE.replace("ticks=24544", "ticks=-4"), "ticks is no number", id="number"),
        pytest.param(WHOLE.replace(" ticks=24544", ""), "record lacks ticks", id="lacks"),
    ],
)
def test_a_broken_report_is_refused_with_its_line(text: str, message: str) -> None:
    with pytest.raises(RunnerError) as caught:
        read_report(text, n_windows=2)
    assert message.replace(r"\\", "\\") in str(caught.value)


def test_a_fault_is_found_wherever_it_is() -> None:
    line = "FAULT kind=bus exception=5 pc=0x10000abc lr=0x10000101 cfsr=0x00008200"
    text = f"{START}\nINFER ind\n{line}"
    fault = find_fault(text)
    assert fault is not None
    assert (fault.kind, fault.pc, fault.lr) == ("bus", 0x10000ABC, 0x10000101)
    assert find_fault(WHOLE) is None


def test_a_long_line_is_shortened() -> None:
    with pytest.raises(RunnerError) as caught:
        parse_line("x" * 10_000)
    assert len(str(caught.value)) < 250


def _spell(text: str) -> str:
    """The rule of protocol.h, written down a second time."""
    if text and all(c.isascii() and (c.isalnum() or c in "_.:+/-") for c in text):
        return text
    spelled = "".join(
        f"\\{chr(b)}" if chr(b) in '"\\' else chr(b) if 0x20 <= b <= 0x7E else f"\\x{b:02x}"
        for b in text.encode("utf-8")
    )
    return f'"{spelled}"'


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1, max_size=4))
def test_any_text_survives_its_escapes(texts: list[str]) -> None:
    keys = ("a", "b", "c", "d")[: len(texts)]
    line = "INFER " + " ".join(f"{k}={_spell(t)}" for k, t in zip(keys, texts, strict=True))
    assert list(parse_line(line).fields.values()) == texts


@given(st.text())
def test_no_text_gets_past_as_anything_but_records_or_an_error(text: str) -> None:
    with pytest.raises(RunnerError):
        read_report(text, n_windows=1)
