"""Send what runs on this machine could not tell their MLflow server."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ecgexp.config.build import build
from ecgexp.config.compose import Job
from ecgexp.config.validate import validate
from ecgexp.errors import TrackingError
from ecgexp.pipeline import home_folder
from ecgexp.tracking.spool import FILE, Spool, count

if TYPE_CHECKING:
    from ecgexp.tracking.remote import ServerStore


@dataclass(frozen=True, kw_only=True)
class Synced:
    """What became of one run's spool.

    Attributes:
        run_id: The run.
        server: Address it was, or is to be, sent to.
        sent: Number of metrics, tags, artefacts and states sent.
        left: Number of those that still wait.
        error: Why something waits; None when nothing does.
    """

    run_id: str
    server: str
    sent: dict[str, int]
    left: dict[str, int]
    error: str | None


def sync(job: Job) -> list[Synced]:
    """Send every spool below `paths.home`, each to the server that it was meant for.

    Args:
        job: Composed from `conf/sync.yaml`; `tracking.uri` names another server.

    Raises:
        ConfigError: The configuration cannot be used.
    """
    validate(job)
    home = home_folder(job.config)
    waiting = [path.parent for path in sorted((home / "runs").glob(f"*/{FILE}"))]
    silent: dict[str, str] = {}
    answers = []
    for folder in waiting:
        spool = Spool(folder)
        before = spool.waiting()
        if not before:
            continue
        server = job.config["tracking"]["uri"] or str(before[0].get("server"))
        error = silent.get(server)
        if error is None:
            error, is_silent = _send(_store(job.config, server), folder.name)
            if error and is_silent:
                silent[server] = error
        left = sum((count(entry) for entry in spool.waiting()), Counter[str]())
        total = sum((count(entry) for entry in before), Counter[str]())
        answers.append(
            Synced(
                run_id=folder.name,
                server=server,
                sent=dict(total - left),
                left=dict(left),
                error=error,
            )
        )
    return answers


def _store(config: dict[str, Any], server: str) -> ServerStore:
    node = {**config["tracking"], "uri": server}
    store: ServerStore = build(node, path="tracking", home=home_folder(config))
    return store


def _send(store: ServerStore, run_id: str) -> tuple[str | None, bool]:
    """Return why it could not be sent, and whether that holds for every run of the server."""
    from ecgexp.tracking.guard import Unreachable

    try:
        store.send_spooled(run_id)
    except Unreachable as error:
        return str(error), True
    except TrackingError as error:
        return str(error), False
    return None, False
