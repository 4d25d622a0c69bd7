"""Run kernels on an emulated core: compare every output byte, count a Cortex-M55's instructions."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ecgexp.deploy import lower
from ecgexp.deploy.kernels import Kernel

_TICKS_PER_INSTRUCTION = 32.768
_FLAGS = ["-mthumb", "-mfloat-abi=hard", "-O2", "-ffreestanding"]
_LINK = ["-nostartfiles", "-Wl,-z,noexecstack", "-lm", "-lc", "-lgcc"]
_QEMU = [
    *("qemu-system-arm", "-nographic", "-monitor", "none", "-serial", "none"),
    *("-semihosting-config", "enable=on,target=native", "-icount", "shift=10"),
]
_HERE = Path(__file__).parent
_GUARD = 32


@dataclass(frozen=True)
class Core:
    """A core to compile for, its board and the addresses of that board's memories."""

    cpu: str
    isa: str
    machine: str
    link: tuple[str, ...] = ()


M55 = Core("cortex-m55", "mve", "mps3-an547")
M33 = Core(
    "cortex-m33",
    "dsp",
    "mps2-an505",
    ("ROM=0x10200000", "DATA=0x38000000", "BULK=0x38200000"),
)


@dataclass(frozen=True)
class Trial:
    """One call: a kernel, its data inputs and what it must write.

    `shift` bytes keep the data inputs from a 16-byte boundary.
    """

    kernel: Kernel
    inputs: tuple[np.ndarray, ...]
    expected: np.ndarray
    shift: int = 0


@dataclass(frozen=True)
class Outcome:
    """What the device made of a trial; `out` has the expected array's shape and dtype."""

    out: np.ndarray
    overrun: bool
    instructions: int


def available() -> bool:
    return all(shutil.which(tool) for tool in ("arm-none-eabi-gcc", "qemu-system-arm"))


def run_device(trials: list[Trial], keep: Path | None = None, core: Core = M55) -> list[Outcome]:
    with tempfile.TemporaryDirectory() as temporary:
        folder = keep or Path(temporary)
        funcs = {f"kernel{i}": t.kernel.func for i, t in enumerate(trials)}
        lower.write_object(funcs, core, folder / "kernels.o")
        (folder / "trials.c").write_text(_source(trials))
        sources = [folder / "kernels.o", folder / "trials.c", _HERE / "bare_metal.c"]
        elf = folder / "trials.elf"
        script = _HERE / "bare_metal.ld"
        subprocess.run(
            [
                *("arm-none-eabi-gcc", f"-mcpu={core.cpu}", *_FLAGS, "-T", script),
                *(f"-Wl,--defsym={symbol}" for symbol in core.link),
                *(*sources, *_LINK, "-o", elf),
            ],
            check=True,
        )
        log = subprocess.run(
            [*_QEMU, "-M", core.machine, "-kernel", elf],
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
    text = log.stdout + log.stderr
    records = re.findall(r"trial (\d+) ticks (\d+) out ([0-9a-f]*)\n", text)
    if len(records) != len(trials):
        name = trials[len(records)].kernel.name
        raise AssertionError(f"device stopped in {name}: {text[-300:]}")
    return [_outcome(t, int(r[1]), r[2]) for t, r in zip(trials, records, strict=True)]


def _outcome(trial: Trial, ticks: int, hexadecimal: str) -> Outcome:
    raw = bytes.fromhex(hexadecimal)
    n_bytes = trial.expected.nbytes
    out = np.frombuffer(raw[:n_bytes], trial.expected.dtype).reshape(trial.expected.shape)
    overrun = set(raw[n_bytes:]) != {0x5A}
    return Outcome(out, overrun, round(ticks / _TICKS_PER_INSTRUCTION))


def _source(trials: list[Trial]) -> str:
    lines = [
        "#include <stdint.h>",
        '#include "stddef.h"',
        "extern void trial_run(int, void (*)(uint8_t *), unsigned);",
    ]
    calls = []
    for i, trial in enumerate(trials):
        names = []
        for j, array in enumerate([*trial.inputs, *trial.kernel.constants]):
            name = f"a{i}_{j}"
            shift = trial.shift if j < len(trial.inputs) else 0
            raw = bytes(shift) + np.ascontiguousarray(array).tobytes()
            data = ",".join(str(b) for b in raw)
            lines.append(f"_Alignas(16) static const uint8_t {name}[] = {{{data}}};")
            names.append(f"{name} + {shift}")
        pointers = ", ".join(["const void *"] * len(names) + ["void *"])
        lines.append(f"extern void kernel{i}({pointers});")
        arguments = ", ".join([*names, "out"])
        lines.append(f"static void call{i}(uint8_t *out) {{ kernel{i}({arguments}); }}")
        calls.append(f"  trial_run({i}, call{i}, {trial.expected.nbytes + _GUARD}u);")
    return "\n".join([*lines, "void trials(void) {", *calls, "}", ""])
