"""`make bench-device`: what the bench networks cost on the device, beside CMSIS-NN.

python -m tests.bench.device            the table
python -m tests.bench.device --record   the table, and its counts become the recorded ones
python -m tests.bench.device --cmsis    CMSIS-NN built from source and measured in the same run
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

from tests.bench import cmsis
from tests.bench.device_cases import CASES, LARGE_CASES, Case
from tests.bench.device_run import Outcome, run_case

RECORDED = Path(__file__).parent.parent / "device" / "instruction_counts.json"
_HEADER = (
    "| network | scheme | instructions | cycles_est | flash KiB | RAM KiB | golden_equal "
    "| beside the recorded count |\n|---|---|---:|---:|---:|---:|---:|---:|"
)
_PEERS = "| network | instructions | cycles_est | flash KiB | RAM KiB |\n|---|---:|---:|---:|---:|"
KIB = 1024


def read_recorded() -> dict[str, dict[str, dict[str, int | None]]]:
    """Return recorded counts: target, case, then `instructions` and `cycles_est`."""
    if not RECORDED.is_file():
        return {}
    counts: dict[str, dict[str, dict[str, int | None]]] = json.loads(RECORDED.read_text())
    return counts


def write_recorded(outcomes: dict[Case, Outcome]) -> None:
    """Replace the recorded counts of what has run; others stay."""
    counts = read_recorded()
    for case, outcome in outcomes.items():
        if case in LARGE_CASES:
            continue  # too slow for the guard
        counts.setdefault(case.target, {})[case.name] = {
            "instructions": outcome.instructions,
            "cycles_est": outcome.cycles_est,
        }
    RECORDED.write_text(json.dumps(counts, indent=2, sort_keys=True) + "\n")


def table_row(case: Case, outcome: Outcome) -> str:
    """Return one line of the table: figures, and in brackets their ratio to CMSIS-NN's."""
    peer = case.peer
    flash = None if outcome.flash_bytes is None else outcome.flash_bytes / KIB
    ram = None if outcome.ram_bytes is None else outcome.ram_bytes / KIB
    cells = (
        f"{case.title}",
        case.scheme,
        _beside(outcome.instructions, peer and peer.instructions, ",.0f"),
        _beside(outcome.cycles_est, peer and peer.cycles_est, ",.0f"),
        _beside(flash, peer and peer.flash_kib, ".1f"),
        _beside(ram, peer and peer.ram_kib, ".1f"),
        f"{outcome.golden_equal:.4g}",
        _beside_recorded(case, outcome),
    )
    return f"| {' | '.join(cells)} |"


def mix_row(case: Case, outcome: Outcome) -> str:
    """Return one line on where the instructions go."""
    total = sum(outcome.mix.values())
    shares = sorted(outcome.mix.items(), key=lambda item: -item[1])
    parts = [f"{kind} {100 * count / total:.0f} %" for kind, count in shares if count]
    return f"{case.target} {case.name}: {', '.join(parts)}"


def _beside(value: float | None, peer: float | None, spelling: str) -> str:
    if value is None:
        return "-"
    return f"{value:{spelling}}" + (f" ({value / peer:.2f})" if peer else "")


def _beside_recorded(case: Case, outcome: Outcome) -> str:
    recorded = read_recorded().get(case.target, {}).get(case.name, {}).get("instructions")
    if not recorded:
        return "none"
    if recorded == outcome.instructions:
        return "same"
    return f"{100 * (outcome.instructions / recorded - 1):+.2f} %"


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _measure_cmsis(cases: list[Case], folder: Path) -> None:
    measured = {(case.net, case.target) for case in cases}
    for target in dict.fromkeys(case.target for case in cases):
        theirs = [case for case in cmsis.CASES if (case.name, target) in measured]
        if not theirs:
            continue
        _say(f"\ntarget {target}: CMSIS-NN 5.0.0 called directly, built and measured now\n{_PEERS}")
        for case in theirs:
            outcome = cmsis.run_case(case, target, folder)
            cells = (
                case.title,
                _beside(outcome.instructions, None, ",.0f"),
                _beside(outcome.cycles_est, None, ",.0f"),
                _beside(outcome.flash_bytes / KIB, None, ".1f"),
                _beside(outcome.ram_bytes / KIB, None, ".1f"),
            )
            _say(f"| {' | '.join(cells)} |")


def _parse(words: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.device")
    parser.add_argument("--record", action="store_true", help="keep the counts for the guard test")
    parser.add_argument("--cmsis", action="store_true", help="build and measure CMSIS-NN as well")
    parser.add_argument("--large", action="store_true", help="run the largest networks as well")
    parser.add_argument("--only", default="", help="part of the names of the cases to run")
    parser.add_argument("--folder", type=Path, help="keep networks and images here")
    return parser.parse_args(words)


def main(words: list[str] | None = None) -> int:
    options = _parse(words)
    every = (*CASES, *LARGE_CASES) if options.large else CASES
    cases = [case for case in every if options.only in f"{case.target} {case.name}"]
    outcomes: dict[Case, Outcome] = {}
    with tempfile.TemporaryDirectory() as scratch:
        folder = (options.folder or Path(scratch)).resolve()
        # Runs before this one must not leave their configuration or their store behind.
        os.environ["ECGEXP_HOME"] = str(folder / "home")
        for target in dict.fromkeys(case.target for case in cases):
            _say(f"\ntarget {target}; in brackets the ratio to CMSIS-NN called directly\n{_HEADER}")
            for case in (case for case in cases if case.target == target):
                outcomes[case] = run_case(case, folder)
                _say(table_row(case, outcomes[case]))
        if options.cmsis:
            _measure_cmsis(cases, folder)
        _say("\ninstruction mix")
        for case, outcome in outcomes.items():
            if outcome.mix:
                _say(mix_row(case, outcome))
    if options.record:
        write_recorded(outcomes)
        _say(f"\nrecorded in {RECORDED}")
    return 0 if all(outcome.golden_equal == 1.0 for outcome in outcomes.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
