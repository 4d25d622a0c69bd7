"""The prune stage: fewer channels, trained again, before anything is exported."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ecgexp.pipeline.room import PRUNED, Room

if TYPE_CHECKING:
    from ecgexp.training.room import Pruner


def prune_network(room: Room, pruning: Pruner) -> None:
    """Leave `pruned.ckpt` in the run's folder, which later stages take for the best network.

    Args:
        room: The run's folder, data and settings.
        pruning: The configured method.

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
