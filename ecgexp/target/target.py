"""The target: a frozen, self-validating description of a board, an emulator or this machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, get_args

from ecgexp.errors import BuildError, ConfigError
from ecgexp.target.memory import (
    MemoryRegion,
    Placement,
    choose_regions,
    parse_placement,
    parse_regions,
)

Isa = Literal["mve", "dsp", "generic"]
RunnerName = Literal["qemu", "fvp", "host", "none"]
Port = Literal["corstone300", "mps2", "host"]

# Core to its LLVM triple and the kernels it can run, the fastest first.
_CORES: dict[str, tuple[str, tuple[Isa, ...]]] = {
    "cortex-m4": ("thumbv7em-none-eabi", ("dsp", "generic")),
    "cortex-m7": ("thumbv7em-none-eabi", ("dsp", "generic")),
    "cortex-m33": ("thumbv8m.main-none-eabi", ("dsp", "generic")),
    "cortex-m55": ("thumbv8.1m.main-none-eabi", ("mve", "dsp", "generic")),
    "cortex-m85": ("thumbv8.1m.main-none-eabi", ("mve", "dsp", "generic")),
    "native": ("native", ("generic",)),
}
_CHOICES: dict[str, tuple[str, ...]] = {
    "cpu": tuple(_CORES),
    "isa": get_args(Isa),
    "triple": tuple(dict.fromkeys(triple for triple, _ in _CORES.values())),
    "float_abi": ("hard", "native"),
    "port": get_args(Port),
    "runner": get_args(RunnerName),
    "fidelity": ("emulated-instructions", "fvp-instructions", "host-wall-time", "not-run"),
}
# The beat model behind cycle estimates describes the Cortex-M55's pipeline and no other.
_CORES_WITH_CYCLE_MODEL = ("cortex-m55",)
_KIND_LIMITS = {"flash": ("code", "weights"), "ram": ("data", "arena")}


@dataclass(frozen=True, kw_only=True)
class Target:
    """Where a network runs and how far the counts taken there can be trusted.

    Attributes:
        name: Identifier; part of the metric names `deploy/<name>/...`.
        cpu: Core as compilers call it, or `native` for this machine.
        isa: Kernels to use: `mve` (Helium), `dsp` (16-bit pairs) or `generic` (plain loops).
        triple: LLVM target triple, or `native`.
        float_abi: Float argument passing, or `native`.
        clock_hz: Core clock that turns cycle estimates into time; None where there is no estimate.
        port: Folder below `firmware/port` that knows the hardware.
        runner: What executes the image; `none` where it is only built.
        machine: Board model of the runner (`qemu-system-arm -M`), or None.
        executable: Runner program: a name on PATH or a file; None where the image itself is run.
        fidelity: What the counts are; recorded with every figure.
        stack_bytes: Stack reserved in the data region; 0 where the system provides it.
        memory: Region name to `{origin, size_bytes}`; empty on the host.
        placement: Content (code, weights, data, arena, golden) to a region name, or to several
            with the preferred one first; empty on the host.
    """

    name: str
    cpu: str
    isa: Isa
    triple: str
    float_abi: str
    clock_hz: float | None
    port: Port
    runner: RunnerName
    machine: str | None
    executable: str | None
    fidelity: str
    stack_bytes: int
    memory: Mapping[str, Mapping[str, int]] = field(hash=False)
    placement: Mapping[str, str | Sequence[str]] = field(hash=False)

    def __post_init__(self) -> None:
        if not self.name.isidentifier():
            raise ConfigError(
                f"target.name = {self.name!r} must be an identifier: letters, digits, underscores"
            )
        for key, choices in _CHOICES.items():
            if getattr(self, key) not in choices:
                raise ConfigError(
                    f"target.{key} = {getattr(self, key)!r} is not supported: "
                    f"use one of {', '.join(choices)}"
                )
        self._check_combination()
        if self.clock_hz is not None and not self.clock_hz > 0:
            raise ConfigError(f"target.clock_hz = {self.clock_hz!r} must be positive, or null")
        if self.on_host:
            return
        if self.is_run and not self.executable:
            raise ConfigError(
                f"target.executable is empty: name the program that runner={self.runner} starts"
            )
        placed = self._region_of("data")
        if not 1024 <= self.stack_bytes <= placed.size_bytes or self.stack_bytes % 8:
            raise ConfigError(
                f"target.stack_bytes = {self.stack_bytes} must be a multiple of 8 between 1024 "
                f"and the {placed.size_bytes} bytes of region {placed.name}"
            )

    def _check_combination(self) -> None:
        native = [key for key in ("cpu", "triple", "float_abi") if getattr(self, key) == "native"]
        host = [key for key in ("port", "runner") if getattr(self, key) == "host"]
        if len(native) + len(host) not in (0, 5):
            raise ConfigError(
                "target: cpu, triple and float_abi are `native` exactly where port and runner are "
                f"`host`, but native: {native}, host: {host}"
            )
        triple, kernels = _CORES[self.cpu]
        if self.isa not in kernels:
            raise ConfigError(
                f"target.isa = {self.isa!r} does not run on cpu {self.cpu}: "
                f"use one of {', '.join(kernels)}"
            )
        if self.triple != triple:
            raise ConfigError(
                f"target.triple = {self.triple!r} does not fit cpu {self.cpu}: use {triple}"
            )
        if self.is_run == (self.fidelity == "not-run"):
            raise ConfigError(
                f"target.fidelity = {self.fidelity!r} does not fit runner={self.runner}: "
                "`not-run` and runner=none belong together"
            )
        if self.runner == "qemu" and not self.machine:
            raise ConfigError("target.machine is empty: name a board of `qemu-system-arm -M help`")

    @property
    def on_host(self) -> bool:
        """Whether the image runs on this machine."""
        return self.runner == "host"

    @property
    def is_run(self) -> bool:
        """Whether anything executes the image, or it is only built."""
        return self.runner != "none"

    @property
    def estimates_cycles(self) -> bool:
        """Whether the cycle model describes this core."""
        return self.cpu in _CORES_WITH_CYCLE_MODEL

    @property
    def regions(self) -> tuple[MemoryRegion, ...]:
        """Memory regions in the order of the configuration."""
        return parse_regions(self.memory)

    @property
    def placed(self) -> Placement:
        """Names of the preferred regions of code, weights, data, arena and golden inputs."""
        return Placement(**{kind: names[0] for kind, names in self._choices.items()})

    @property
    def flash_bytes(self) -> int | None:
        """Capacity of the regions with code and weights; None where nothing bounds it."""
        return self._capacity("flash")

    @property
    def ram_bytes(self) -> int | None:
        """Capacity of the regions with data and arena; None where nothing bounds it."""
        return self._capacity("ram")

    def settle(self, *, weight_bytes: int, arena_bytes: int, code_bytes: int) -> Target:
        """Return the target with one region per content: the first one that has room for it.

        Args:
            weight_bytes: Parameters.
            arena_bytes: Activations together with the input and the output.
            code_bytes: Compiled kernels, as far as known; 0 before lowering.
        """
        if self.on_host:
            return self
        wanted = {
            "code": code_bytes,
            "weights": weight_bytes,
            "data": self.stack_bytes,
            "arena": arena_bytes,
        }
        return replace(self, placement=choose_regions(self._choices, self.regions, wanted))

    def require_fit(self, *, weight_bytes: int, arena_bytes: int, code_bytes: int) -> None:
        """Fail before the build when a network cannot fit.

        Args:
            weight_bytes: Parameters.
            arena_bytes: Activations together with the input and the output.
            code_bytes: Compiled kernels, as far as known; 0 before lowering.

        Raises:
            BuildError: Some region is too small; the message has all sizes.
        """
        if self.on_host:
            return
        wanted = {
            "code": code_bytes,
            "weights": weight_bytes,
            "data": self.stack_bytes,
            "arena": arena_bytes,
        }
        settled = self.settle(
            weight_bytes=weight_bytes, arena_bytes=arena_bytes, code_bytes=code_bytes
        )
        load: dict[str, list[str]] = {}
        total: dict[str, int] = {}
        for kind, n_bytes in wanted.items():
            region = settled._region_of(kind)
            load.setdefault(region.name, []).append(f"{kind} {n_bytes}")
            total[region.name] = total.get(region.name, 0) + n_bytes
        sizes = {region.name: region.size_bytes for region in self.regions}
        faults = [
            f"{name} has {sizes[name]} bytes but needs {n_bytes} ({', '.join(load[name])})"
            for name, n_bytes in total.items()
            if n_bytes > sizes[name]
        ]
        if faults:
            raise BuildError(
                f"the network does not fit target {self.name}: {'; '.join(faults)}. "
                "Use a smaller network, quantize it, or a larger target (cortex_m55_large)"
            )

    def _capacity(self, memory: str) -> int | None:
        if self.on_host:
            return None
        names = {name for kind in _KIND_LIMITS[memory] for name in self._choices[kind]}
        return sum(region.size_bytes for region in self.regions if region.name in names)

    @property
    def _choices(self) -> dict[str, tuple[str, ...]]:
        return parse_placement(self.placement, self.regions)

    def _region_of(self, kind: str) -> MemoryRegion:
        name = getattr(self.placed, kind)
        return next(region for region in self.regions if region.name == name)
