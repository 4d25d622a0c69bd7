"""Read what the firmware prints: one `KIND key=value ...` record per line, END last."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ecgexp.errors import RunnerError

SCHEMA = 1
# The firmware's last line, whatever happened: Arm's model stops when it sees it on UART 0.
SHUTDOWN_TAG = "EXITTHESIM"
_KINDS = frozenset({"START", "INFER", "STACK", "FAULT", "END"})
_FIELD = re.compile(r' ([a-z_]+)=(?:([A-Za-z0-9_.:+/-]+)|"((?:[^"\\]|\\["\\]|\\x[0-9a-f]{2})*)")')
_ESCAPE = re.compile(rb'\\(?:x([0-9a-f]{2})|(["\\]))')
_QUOTED_CHARS = 120


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """One record.

    Attributes:
        kind: First word.
        fields: Keys to unescaped values.
        text: The line as it was printed.
    """

    kind: str
    fields: dict[str, str]
    text: str

    def text_of(self, key: str) -> str:
        """Return a field, or fail with the line."""
        if key not in self.fields:
            raise RunnerError(f"the firmware's record lacks {key}: {quote(self.text)}")
        return self.fields[key]

    def number(self, key: str) -> int:
        """Return a field that is a whole number, or fail with the line."""
        value = self.text_of(key)
        if not value.isdecimal():
            raise RunnerError(f"{key} is no number in the firmware's record: {quote(self.text)}")
        return int(value)


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """One INFER record.

    Attributes:
        index: Golden window.
        label: Class name.
        class_index: Position of the class.
        confidence: Softmax probability in [0, 1].
        ticks: Timer ticks of the measurement, its overhead included.
        outputs: Output tensor as it lies in the device's memory, little endian.
    """

    index: int
    label: str
    class_index: int
    confidence: float
    ticks: int
    outputs: bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """A complete run of the firmware.

    Attributes:
        timer: Tick source.
        ticks_hz: Ticks per second; 0 where a tick is a core cycle.
        overhead_ticks: Ticks of an empty measurement.
        answers: One per golden window, in order.
        stack_bytes: High-water mark of the stack; None where it was not measured.
    """

    timer: str
    ticks_hz: int
    overhead_ticks: int
    answers: tuple[Answer, ...]
    stack_bytes: int | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Fault:
    """A FAULT record.

    Attributes:
        kind: `bus`, `usage`, `stack_overflow`, ...
        pc: Address of the instruction that failed; 0 where the core could not tell.
        lr: Return address at that point.
        fields: All fields as printed.
    """

    kind: str
    pc: int
    lr: int
    fields: dict[str, str]


def quote(line: str) -> str:
    """Shorten a line and make it printable, for messages."""
    return repr(line if len(line) <= _QUOTED_CHARS else line[:_QUOTED_CHARS] + "...")


def parse_line(line: str) -> Line:
    """Read one record.

    Args:
        line: Without its line end.

    Raises:
        RunnerError: It is no record.
    """
    kind, *_ = line.split(" ", 1)
    fields: dict[str, str] = {}
    position = len(kind)
    while kind in _KINDS and position < len(line):
        match = _FIELD.match(line, position)
        if match is None or match[1] in fields:
            break
        fields[match[1]] = match[2] if match[2] is not None else _unescape(match[3], line)
        position = match.end()
    if kind not in _KINDS or position < len(line):
        raise RunnerError(f"the firmware printed garbage: {quote(line)}")
    return Line(kind=kind, fields=fields, text=line)


def read_records(text: str) -> list[Line]:
    """Return the records from the first one to END, or to the shutdown tag.

    What a simulator prints before and after them is skipped.

    Args:
        text: Everything that came out of the serial line.

    Raises:
        RunnerError: A line between START and END is no record.
    """
    records: list[Line] = []
    for line in text.splitlines():
        if line == SHUTDOWN_TAG:
            break
        if not line.strip():
            continue
        if not records and line.partition(" ")[0] not in _KINDS:
            continue
        records.append(parse_line(line))
        if records[-1].kind == "END":
            break
    return records


def find_fault(text: str) -> Fault | None:
    """Return the fault that the firmware reported, or None.

    Args:
        text: Everything that came out of the serial line.
    """
    for line in text.splitlines():
        if line.startswith("FAULT "):
            record = parse_line(line)
            return Fault(
                kind=record.text_of("kind"),
                pc=_address(record, "pc"),
                lr=_address(record, "lr"),
                fields=record.fields,
            )
    return None


def read_report(text: str, n_windows: int) -> Report:
    """Read the output of a run that reported no fault.

    Args:
        text: Everything that came out of the serial line.
        n_windows: Golden windows in the image.

    Raises:
        RunnerError: A record is missing, broken or out of order, or the firmware failed.
    """
    records = read_records(text)
    if not records or records[0].kind != "START":
        printed = [line for line in text.splitlines() if line.strip()]
        first = f"it printed {quote(printed[0])} first" if printed else "it printed nothing"
        raise RunnerError(f"the firmware sent no START record: {first}")
    start, end = records[0], records[-1]
    if start.number("schema") != SCHEMA:
        raise RunnerError(f"the firmware speaks another protocol: {quote(start.text)}")
    if end.kind != "END":
        raise RunnerError(f"the firmware sent no END record; its last line is {quote(end.text)}")
    status = end.text_of("status")
    if status != "ok":
        raise RunnerError(f"the firmware gave up with status={status} after {len(records)} records")
    answers = tuple(
        _read_answer(record, start.number("output_bytes"))
        for record in records
        if record.kind == "INFER"
    )
    if [answer.index for answer in answers] != list(range(n_windows)):
        raise RunnerError(
            f"the firmware reported {len(answers)} inferences for {n_windows} golden windows"
        )
    stack = [record.number("bytes") for record in records if record.kind == "STACK"]
    return Report(
        timer=start.text_of("timer"),
        ticks_hz=start.number("ticks_hz"),
        overhead_ticks=start.number("overhead_ticks"),
        answers=answers,
        stack_bytes=stack[0] if stack else None,
    )


def _read_answer(record: Line, output_bytes: int) -> Answer:
    hexadecimal = record.text_of("out")
    if len(hexadecimal) != 2 * output_bytes or not re.fullmatch(r"[0-9a-f]*", hexadecimal):
        raise RunnerError(f"out is not {output_bytes} bytes in hexadecimal: {quote(record.text)}")
    return Answer(
        index=record.number("index"),
        label=record.text_of("label"),
        class_index=record.number("class"),
        confidence=record.number("confidence_ppm") / 1e6,
        ticks=record.number("ticks"),
        outputs=bytes.fromhex(hexadecimal),
    )


def _address(record: Line, key: str) -> int:
    value = record.text_of(key)
    if not re.fullmatch(r"0x[0-9a-f]+", value):
        raise RunnerError(f"{key} is no address in the firmware's record: {quote(record.text)}")
    return int(value, 16)


def _unescape(value: str, line: str) -> str:
    raw = _ESCAPE.sub(
        lambda match: bytes.fromhex(match[1].decode()) if match[1] else match[2],
        value.encode("utf-8"),
    )
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise RunnerError(
            f"the firmware printed a text that is not UTF-8: {quote(line)}"
        ) from error
