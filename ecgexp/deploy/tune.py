"""Choose the schedule of every layer by measuring all of them on the emulator.

Each distinct layer is measured once, whatever networks it occurs in: results are kept in a cache
folder, one file each, and appear there complete or not at all.
"""

from __future__ import annotations

import csv
import hashlib
import json
import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

from ecgexp.deploy import measure
from ecgexp.deploy.kernels.kernel import Variants
from ecgexp.deploy.measure import Candidate, Cost
from ecgexp.deploy.preflight import require_measurable
from ecgexp.deploy.program import Program, ProgramBuilder, Step
from ecgexp.resources import resource_folder
from ecgexp.target import Target

log = logging.getLogger(__name__)

# One build and one run of the emulator cost about as much as the kernels of this many schedules.
_BATCH = 16
_TABLE = "schedules.csv"
_COLUMNS = ("layer", "schedule", "instructions", "cycles_est", "is_default", "is_best")


@dataclass(frozen=True, kw_only=True, slots=True)
class Tuner:
    """Measures the schedules of a network's layers and keeps the best of each.

    Attributes:
        target: Where to measure.
        cache_folder: Keeps results between runs.
        timeout_s: Wall-clock limit of one run of the emulator in seconds.
    """

    target: Target
    cache_folder: Path
    timeout_s: float

    def tune(self, program: Program, folder: Path) -> Program:
        """Return the program with the schedules of the fewest estimated cycles.

        Args:
            program: The network.
            folder: Gets `schedules.csv`, and logs of the emulator while it measures.

        Raises:
            ConfigError: The target cannot be measured.
            BuildError: A schedule cannot be compiled.
            RunnerError: The emulator did not run one to its end.
        """
        require_measurable(self.target)
        layers = distinct_layers(program)
        costs = self.costs(layers.values(), folder)
        rows: list[tuple[object, ...]] = []
        best: dict[str, str] = {}
        for name, step in layers.items():
            variants = _variants(step)
            measured = {schedule: costs[name, schedule] for schedule in variants.build}
            best[name] = fastest(measured, variants.chosen)
            _tell(name, measured, variants.chosen, best[name])
            rows += [
                (name, s, c.instructions, c.cycles_est, s == variants.chosen, s == best[name])
                for s, c in measured.items()
            ]
        _write_table(folder / _TABLE, rows)
        return _rebuilt(program, best)

    def costs(self, steps: Iterable[Step], folder: Path) -> dict[tuple[str, str], Cost]:
        """Return the cost of every schedule of some layers, by layer and schedule.

        Args:
            steps: One call of each layer.
            folder: For the emulator's files while it measures.
        """
        cache = CostCache(folder=self.cache_folder, stamp=source_stamp(self.target))
        candidates = [c for step in steps for c in _candidates(step)]
        known = {(c.layer, c.schedule): cost for c in candidates if (cost := cache.read(c))}
        missing = [c for c in candidates if (c.layer, c.schedule) not in known]
        log.info(
            "tuning for %s: %d schedules, %d of them measured before",
            self.target.name,
            len(candidates),
            len(known),
        )
        for candidate, cost in self._measured(missing, cache, folder / "tune"):
            known[candidate.layer, candidate.schedule] = cost
        return known

    def _measured(
        self, candidates: Sequence[Candidate], cache: CostCache, folder: Path
    ) -> Iterator[tuple[Candidate, Cost]]:
        """Measure batches in parallel; each thread waits for compilers and emulators."""
        from rich.console import Console
        from rich.progress import Progress

        batches = [candidates[i : i + _BATCH] for i in range(0, len(candidates), _BATCH)]
        if not batches:
            return
        n_workers = min(len(os.sched_getaffinity(0)), len(batches))
        pool = ThreadPoolExecutor(max_workers=n_workers, thread_name_prefix="tune")
        with Progress(console=Console(stderr=True), transient=True) as progress:
            bar = progress.add_task("measuring schedules", total=len(candidates))
            try:
                futures = [
                    pool.submit(self._measure_batch, batch, cache, folder / str(number))
                    for number, batch in enumerate(batches)
                ]
                for future in as_completed(futures):
                    yield from (found := future.result())
                    progress.advance(bar, len(found))
            finally:
                # After an interrupt, what is being measured is still finished and kept.
                pool.shutdown(wait=True, cancel_futures=True)

    def _measure_batch(
        self, batch: Sequence[Candidate], cache: CostCache, folder: Path
    ) -> list[tuple[Candidate, Cost]]:
        costs = measure.run(
            batch,
            self.target,
            timeout_s=self.timeout_s,
            folder=folder,
            cache_folder=self.cache_folder,
        )
        for candidate, cost in zip(batch, costs, strict=True):
            cache.write(candidate, cost)
        return list(zip(batch, costs, strict=True))


@dataclass(frozen=True, kw_only=True, slots=True)
class CostCache:
    """Measured costs as files.

    Attributes:
        folder: Where they lie.
        stamp: What else a cost depends on: core, sources, versions.
    """

    folder: Path
    stamp: str

    def path(self, candidate: Candidate) -> Path:
        """Return the file of a candidate."""
        key = f"{self.stamp}\n{candidate.layer}\n{candidate.schedule}"
        digest = hashlib.sha256(key.encode()).hexdigest()[:24]
        return self.folder / "schedules" / f"{digest}.json"

    def read(self, candidate: Candidate) -> Cost | None:
        """Return a known cost; a file that cannot be read counts as unknown."""
        try:
            entry = json.loads(self.path(candidate).read_text(encoding="utf-8"))
            return Cost(
                instructions=int(entry["instructions"]), cycles_est=int(entry["cycles_est"])
            )
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def write(self, candidate: Candidate, cost: Cost) -> None:
        """Keep a cost; the file appears complete."""
        path = self.path(candidate)
        path.parent.mkdir(parents=True, exist_ok=True)
        entry = {
            "layer": candidate.layer,
            "schedule": candidate.schedule,
            "instructions": cost.instructions,
            "cycles_est": cost.cycles_est,
        }
        aside = path.with_suffix(f".{os.getpid()}.part")
        aside.write_text(json.dumps(entry) + "\n", encoding="utf-8")
        os.replace(aside, path)


def source_stamp(target: Target) -> str:
    """Return a text that changes with whatever changes what a schedule costs on a core."""
    deploy = Path(__file__).parent
    emulator = resource_folder("firmware") / "emulator"
    sources = [*(deploy / "kernels").glob("*.py"), deploy / "lower.py", *emulator.glob("*.[ch]")]
    digest = hashlib.sha256()
    for path in sorted(sources):
        digest.update(path.name.encode() + path.read_bytes())
    return f"{target.cpu} {target.isa} tvm {version('apache-tvm')} {digest.hexdigest()}"


def distinct_layers(program: Program) -> dict[str, Step]:
    """Return one call of each layer that has several schedules, by the layer's name."""
    layers: dict[str, Step] = {}
    for step in program.steps:
        if step.kernel.variants is not None and len(step.kernel.variants.build) > 1:
            layers.setdefault(step.kernel.variants.layer, step)
    return layers


def fastest(costs: dict[str, Cost], chosen: str) -> str:
    """Return the schedule of the fewest cycles; ties go to fewer instructions, then `chosen`."""
    return min(costs, key=lambda s: (costs[s].cycles_est, costs[s].instructions, s != chosen, s))


def _variants(step: Step) -> Variants:
    if step.kernel.variants is None:
        raise ValueError(f"{step.kernel.name} has one schedule only")
    return step.kernel.variants


def _candidates(step: Step) -> list[Candidate]:
    variants = _variants(step)
    return [
        Candidate(layer=variants.layer, schedule=schedule, build=build, step=step)
        for schedule, build in variants.build.items()
    ]


def _rebuilt(program: Program, best: dict[str, str]) -> Program:
    """Return the program with the best kernels, named anew: equal functions share one symbol."""
    builder = ProgramBuilder()
    steps = []
    for step in program.steps:
        kernel, variants = step.kernel, step.kernel.variants
        if variants is not None and best.get(variants.layer, variants.chosen) != variants.chosen:
            kernel = variants.build[best[variants.layer]]()
        steps.append(replace(step, kernel=kernel, symbol=builder.symbol(kernel)))
    return replace(program, steps=tuple(steps))


def _tell(layer: str, costs: dict[str, Cost], chosen: str, best: str) -> None:
    if best != chosen:
        before, after = costs[chosen].cycles_est, costs[best].cycles_est
        log.info(
            "%s: %s instead of %s, %d cycles instead of %d (%.1f %%)",
            *(layer, best, chosen, after, before, 100 * (after / before - 1)),
        )


def _write_table(path: Path, rows: Sequence[tuple[object, ...]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(_COLUMNS)
        writer.writerows(rows)
