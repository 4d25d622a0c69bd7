"""What `make bench-device` measures, and the figures of others that it compares with.

The peers' figures are constants: CMSIS-NN 5.0.0 called directly for the same layers, instructions
counted by the same plugin on the same emulator, cycles by the same beat model. `--cmsis` builds and
measures CMSIS-NN itself for the networks that need no code generator.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Peer:
    """CMSIS-NN, called directly."""

    instructions: int
    cycles_est: int | None = None
    flash_kib: float | None = None
    ram_kib: float | None = None


@dataclass(frozen=True, kw_only=True)
class Case:
    """A network of `tests.networks.NETS` on a target.

    `layer_only` takes the counts of its most expensive kernel instead of the whole network's.
    """

    title: str
    net: str
    scheme: str
    target: str = "corstone300_m55"
    peer: Peer | None = None
    layer_only: bool = False

    @property
    def name(self) -> str:
        return f"{self.net}_{self.scheme}"


CASES = (
    Case(
        title="HeartKit guide model, 800 x 1",
        net="guide",
        scheme="int8",
        peer=Peer(instructions=1_266_700, cycles_est=1_526_030, flash_kib=65.6, ram_kib=24.1),
    ),
    Case(
        title="HeartKit rhythm-class-4, 800 x 1",
        net="rhythm4",
        scheme="int8",
        peer=Peer(instructions=2_286_051, cycles_est=2_826_998, flash_kib=75.7, ram_kib=24.1),
    ),
    Case(
        title="plain CNN, 3600 x 1",
        net="plain",
        scheme="int8",
        peer=Peer(instructions=2_515_648, cycles_est=2_667_747, flash_kib=26.6, ram_kib=36.2),
    ),
    Case(
        title="convolution 64 to 64, k 9, 256 positions",
        net="conv",
        scheme="int8",
        layer_only=True,
        peer=Peer(instructions=1_854_854, cycles_est=1_895_881),
    ),
    # The int8 network with four bits left of every weight.
    Case(title="HeartKit guide model, 800 x 1, packed weights", net="guide", scheme="int4"),
    Case(
        title="HeartKit guide model, 800 x 1",
        net="guide",
        scheme="float",
        peer=Peer(instructions=1_318_146),
    ),
    Case(
        title="plain CNN, 3600 x 1",
        net="plain",
        scheme="float",
        peer=Peer(instructions=2_927_956),
    ),
    Case(
        title="HeartKit guide model, 800 x 1",
        net="guide",
        scheme="int8",
        target="cortex_m33",
        peer=Peer(instructions=5_663_176),
    ),
    Case(
        title="plain CNN, 3600 x 1",
        net="plain",
        scheme="int8",
        target="cortex_m33",
        peer=Peer(instructions=10_212_237),
    ),
    Case(title="HeartKit guide model, 800 x 1", net="guide", scheme="int8", target="cortex_m4"),
    Case(title="HeartKit guide model, 800 x 1", net="guide", scheme="int8", target="cortex_m7"),
)
# Minutes each; `--large`.
LARGE_CASES = (
    Case(
        title="AVH CNN, 3600 x 1, 3.87 M parameters",
        net="avh",
        scheme="int8",
        target="cortex_m55_large",
    ),
    Case(
        title="34-layer residual network, 7680 x 1, 10.5 M parameters",
        net="resnet34",
        scheme="int8",
        target="cortex_m55_large",
    ),
)
