"""Train once what several jobs of a sweep need: the network before pruning and quantization."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from ecgexp.config.fingerprint import fit_fingerprint
from ecgexp.pipeline.parts import home_folder, open_store
from ecgexp.pipeline.room import BEST, Room
from ecgexp.tracking import names
from ecgexp.tracking.guard import Unreachable

log = logging.getLogger(__name__)

CURVES = "learning_curves.png"


@contextmanager
def fit_turn(room: Room) -> Iterator[bool]:
    """Wait while another job trains the same network, then yield whether it was taken over.

    Only jobs of a sweep or study wait and take over; a run of its own always trains. A fit that
    ended well is tagged before the next one's turn comes.
    """
    tags = room.run.tags
    mine = {
        names.FIT_FINGERPRINT_TAG: fit_fingerprint(room.config),
        names.DATA_TAG: room.data.fingerprint,
    }
    if names.PARENT_TAG in tags:
        wanted = dict(mine)
        if room.config.get("force"):
            wanted[names.SESSION_TAG] = tags.get(names.SESSION_TAG, "")
        locks = home_folder(room.config) / "locks"
        locks.mkdir(parents=True, exist_ok=True)
        with FileLock(locks / f"fit-{mine[names.FIT_FINGERPRINT_TAG]}.lock"):
            yield _take_over(room, wanted)
            room.run.set_tags(mine)
    else:
        yield False
        room.run.set_tags(mine)


def _take_over(room: Room, wanted: dict[str, str]) -> bool:
    """Copy the network, its curves and its metrics from a run whose tags say it is the same."""
    if (room.folder / "checkpoints" / "last.ckpt").is_file():
        return False  # its own fit was interrupted and goes on
    try:
        return _from_another(room, wanted)
    except Unreachable as error:
        log.warning("fit: whether another run trained this network is unknown: %s", error)
        return False


def _from_another(room: Room, wanted: dict[str, str]) -> bool:
    from ecgexp.training.checkpoint import load_checkpoint

    store = open_store(room.config)
    condition = " and ".join(f"tags.`{key}` = '{value}'" for key, value in wanted.items())
    for found in store.search(condition):
        source = store.reopen(found.run_id)
        if found.run_id == room.run.run_id or not (source.folder / BEST).is_file():
            continue
        log.info("fit: run %s trained this network, %s; taking it over", found.run_id, found.name)
        _copy(source.folder / BEST, room.folder / BEST)
        if (source.folder / CURVES).is_file():
            _copy(source.folder / CURVES, room.folder / CURVES)
            room.run.log_artefact(room.folder / CURVES)
        history = load_checkpoint(room.folder / BEST).history
        room.run.copy_metrics(source, {key for row in history for key in row})
        room.run.set_tags({names.REUSED_TAG: found.run_id})
        return True
    return False


def _copy(source: Path, target: Path) -> None:
    """Copy a file so that a kill leaves no half of it."""
    aside = target.with_name(f".{target.name}.part")
    shutil.copyfile(source, aside)
    aside.replace(target)
