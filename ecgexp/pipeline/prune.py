"""The prune stage: fewer channels, trained again, before anything is exported."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ecgexp.config.build import build
from ecgexp.pipeline.probe import device_figures
from ecgexp.pipeline.room import PRUNED, Room

if TYPE_CHECKING:
    from torch import nn

    from ecgexp.training.room import Pruner

_ON_THE_DEVICE = ("flash_bytes", "weight_bytes", "instructions", "cycles_est")
_LEAST_WINDOWS = 2


def prune_network(room: Room, pruning: Pruner, *, deploys: bool) -> None:
    """Leave `pruned.ckpt` in the run's folder, which later stages take for the best network.

    Args:
        room: The run's folder, data and settings.
        pruning: The configured method.
        deploys: Whether to ask the target, too, what the network costs before and after.

    Raises:
        ConfigError: The method and the network do not fit each other.
    """
    from ecgexp.architecture.size import measure_size
    from ecgexp.report import pictures

    (room.folder / PRUNED).unlink(missing_ok=True)
    before, after = pruning.prune(room, room.folder / PRUNED)
    sizes = {
        when: measure_size(network, room.data.spec)
        for when, network in (("before", before), ("after", after))
    }
    room.run.log_metrics(
        {
            f"prune/{what}_{when}": float(value)
            for when, size in sizes.items()
            for what, value in (("parameters", size.trainable), ("macs", size.macs))
        }
    )
    picture = pictures.channels_kept(before, after, room.folder / "channels.png")
    room.run.log_artefact(picture)
    if deploys:
        room.run.log_metrics(_device_costs(room, {"before": before, "after": after}))


def _device_costs(room: Room, networks: dict[str, nn.Module]) -> dict[str, float]:
    """Measure networks on the target, quantized alike and without training.

    The int8 network of a quantization that trains costs what its untrained one costs: code and
    weights are of the same form. Fewer bits come on top.
    """
    quantizer = build(room.config["quantization"], path="quantization").untrained
    config = {**room.config, "deploy": {**room.config["deploy"], "tune": False}}
    windows = room.data.calibration_windows(max(_LEAST_WINDOWS, quantizer.n_calibration))
    costs: dict[str, float] = {}
    for when, network in networks.items():
        found = device_figures(network, room.data.spec, quantizer, windows, config)
        if found is not None:
            costs |= {f"prune/{n}_{when}": found[n] for n in _ON_THE_DEVICE if n in found}
    return costs
