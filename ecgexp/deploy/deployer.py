"""Compose the deploy stage: compile, build, run, compare, report."""

from __future__ import annotations

import importlib.util
import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ecgexp.errors import BuildError, ConfigError
from ecgexp.target import Target
from ecgexp.types import Bundle, DeployReport, SignalSpec

if TYPE_CHECKING:
    from ecgexp.deploy.compiler import Compiled
    from ecgexp.deploy.firmware import Firmware
    from ecgexp.deploy.golden import Golden
    from ecgexp.deploy.program import Program
    from ecgexp.deploy.runner.records import RunLog

log = logging.getLogger(__name__)

LIMITS = ("flash_bytes", "ram_bytes", "instructions")


class Deployer:
    """Bring a bundle to a target and measure it there.

    Args:
        n_golden: Golden windows to run.
        timeout_s: Wall-clock limit of the run in seconds.
        allow_float_ops: How many operators of an int8 network may run in float32, apart from a
            final softmax.
        profile: `layers` adds what each layer cost, as tables and a picture, on targets that count
            instructions; `none` leaves it out.
        tune: Whether to measure the schedules of each layer on the emulator and keep the best;
            otherwise cost rules choose.
        bit_planes: Whether weights that are sums of few signed bit planes stay such in flash, where
            that is smaller than int8: it costs instructions.
        pack_int4: `auto` or True: weights that all lie in -8 to 7 go two to a byte, layer by layer;
            True refuses a network without such a layer. Only Helium kernels do it.
        cache_dir: Keeps tools that are compiled once, and measured schedules.
        limits: Largest `flash_bytes`, `ram_bytes` and `instructions`; None for no limit.

    Raises:
        ConfigError: A value cannot be used.
    """

    def __init__(  # noqa: PLR0913
        self,
        *,
        n_golden: int,
        timeout_s: float,
        allow_float_ops: int,
        profile: Literal["none", "layers"],
        tune: bool,
        bit_planes: bool,
        pack_int4: bool | Literal["auto"],
        cache_dir: str,
        limits: Mapping[str, float | None],
    ) -> None:
        if n_golden < 1:
            raise ConfigError(f"deploy.n_golden={n_golden}: write 1 or more")
        if not timeout_s > 0:
            raise ConfigError(f"deploy.timeout_s={timeout_s}: write a positive number of seconds")
        if allow_float_ops < 0:
            raise ConfigError(f"deploy.allow_float_ops={allow_float_ops}: write 0 or more")
        if profile not in ("none", "layers"):
            raise ConfigError(f"deploy.profile={profile}: write none or layers")
        for key, flag in (("tune", tune), ("bit_planes", bit_planes)):
            if not isinstance(flag, bool):
                raise ConfigError(f"deploy.{key}={flag!r}: write true or false")
        if not isinstance(pack_int4, bool) and pack_int4 != "auto":
            raise ConfigError(f"deploy.pack_int4={pack_int4!r}: write auto, true or false")
        if set(limits) != set(LIMITS):
            raise ConfigError(
                f"deploy.limits has the keys {sorted(limits)}: write exactly {', '.join(LIMITS)}"
            )
        for key, value in limits.items():
            if value is not None and not value > 0:
                raise ConfigError(f"deploy.limits.{key}={value}: write a positive number or null")
        self.n_golden = n_golden
        self.timeout_s = timeout_s
        self.allow_float_ops = allow_float_ops
        self.profile: Literal["none", "layers"] = profile
        self.tune = tune
        self.bit_planes = bit_planes
        self.pack_int4 = pack_int4
        self.cache_dir = Path(cache_dir).expanduser()
        self.limits = dict(limits)

    def check(self, target: Target) -> None:
        """Check, before hours of training, that a deploy could build and run anything.

        Args:
            target: Where a network will run.

        Raises:
            BuildError: A compiler or build tool is missing.
            RunnerError: The emulator or model is missing.
            ConfigError: Schedules are to be measured where nothing estimates cycles.
        """
        from ecgexp.deploy.preflight import require_measurable, require_tools

        require_tools(target)
        if self.tune:
            require_measurable(target)

    def check_network(self, spec: SignalSpec) -> None:
        """Check, before hours of training, that firmware can say what a network answers.

        Args:
            spec: Input and output of the network.

        Raises:
            ConfigError: A window can have several classes.
        """
        from ecgexp.deploy.preflight import require_one_class

        require_one_class(spec)

    def deploy(self, bundle: Bundle, target: Target, folder: Path) -> DeployReport:
        """Compile a bundle for a target, run its golden windows there, compare and report.

        Args:
            bundle: The network and its golden windows.
            target: Where it will run.
            folder: Gets the model library, the image, logs and tables.

        Raises:
            BuildError: The network cannot be compiled or its firmware cannot be built.
            RunnerError: The firmware did not run to its end.
            ConfigError: A window can have several classes.
        """
        self.check_network(bundle.spec)
        if importlib.util.find_spec("tvm") is None:
            raise BuildError("deploy=tvm needs apache-tvm: pip install 'ecgexp[deploy]'")
        # TVM takes seconds to import: only a deploy that happens pays for it.
        from ecgexp.deploy.golden import read_golden
        from ecgexp.deploy.report import Evidence, write_report

        started = time.perf_counter()
        log.info("deploying %s to %s", bundle.name, target.name)
        golden = read_golden(bundle.golden, self.n_golden)
        compiled = self._compile(bundle, target, folder / "library")
        firmware, run_log = self._run(compiled, golden, folder)
        evidence = Evidence(
            name=bundle.name,
            compiled=compiled,
            firmware=firmware,
            run_log=run_log,
            golden=golden,
            target=compiled.target,
        )
        report = write_report(evidence, bundle.scheme, self.limits, folder, profile=self.profile)
        if run_log is not None:
            _say_last(run_log)
        log.info(
            "deployed %s to %s in %.1f s: %s",
            bundle.name,
            target.name,
            time.perf_counter() - started,
            f"golden_equal {report.metrics['golden_equal']:.3f}" if run_log else "built, not run",
        )
        return report

    def _compile(self, bundle: Bundle, target: Target, folder: Path) -> Compiled:
        """Write the model library of a bundle into a folder."""
        from ecgexp.deploy.compiler import compile_network
        from ecgexp.deploy.kernels.weights import Storage
        from ecgexp.deploy.tune import Tuner

        tuner = None
        if self.tune:
            tuner = Tuner(target=target, cache_folder=self.cache_dir, timeout_s=self.timeout_s)
        compiled = compile_network(
            bundle.onnx,
            name=bundle.name,
            labels=bundle.spec.labels,
            target=target,
            allow_float_ops=self.allow_float_ops,
            folder=folder,
            storage=Storage(bit_planes=self.bit_planes, pack_int4=bool(self.pack_int4)),
            tuner=tuner,
        )
        if self.pack_int4 is True:
            _require_packed(compiled.program)
        return compiled

    def _run(
        self, compiled: Compiled, golden: Golden, folder: Path
    ) -> tuple[Firmware, RunLog | None]:
        """Build the image with its golden windows; run it where the target can be run."""
        from ecgexp.deploy.firmware import build
        from ecgexp.deploy.runner import runner_for

        placed = compiled.target
        inputs = compiled.library.quantise_inputs(golden.x)
        firmware = build(compiled.library.folder, inputs, placed, folder / "firmware")
        if not placed.is_run:
            return firmware, None
        run_log = runner_for(placed)(
            firmware,
            placed,
            timeout_s=self.timeout_s,
            folder=folder / "run",
            cache_folder=self.cache_dir,
        )
        return firmware, run_log


def _say_last(run_log: RunLog) -> None:
    """Answer in the words of the AVH example's main.c, which runs one window."""
    last = run_log.records[-1]
    log.info(
        "the last window: Index is %d; Confidence is %f; Label is %s",
        last.class_index,
        last.confidence,
        last.label,
    )


def _require_packed(program: Program) -> None:
    """Refuse a network without a layer whose weights go two to a byte.

    Raises:
        BuildError: There is none.
    """
    if not any("_int4_" in step.kernel.name for step in program.steps):
        raise BuildError(
            "deploy.pack_int4=true: no convolution or dense layer has weights that all lie in -8 "
            "to 7, or the target has no Helium; quantize weights to 4 bits, or use "
            "deploy.pack_int4=auto"
        )
