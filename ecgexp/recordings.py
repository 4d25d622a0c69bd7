"""What `ecgexp data` does: fetch recordings, and look at them before anyone trains on them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ecgexp.config.compose import Job
from ecgexp.config.validate import validate
from ecgexp.errors import ConfigError, DataError
from ecgexp.pipeline import build_data, draw_effects, home_folder


def download(job: Job) -> Path:
    """Fetch the data set of a configuration into `paths.data`.

    Raises:
        ConfigError: No folder is given.
        DataError: There is nothing to download, or no connection.
    """
    from ecgexp.dataset.download import download as fetch

    folder = job.config["paths"]["data"]
    if folder is None:
        raise ConfigError("paths.data is null: say where recordings go, paths.data=DIR")
    name = str(job.choices["dataset"])
    return fetch(name, Path(folder).expanduser().resolve(), progress=True)


def inspect(job: Job) -> dict[str, Any]:
    """Return records, patients and classes per split, and draw example windows.

    Returns:
        The summary, with the picture's path under `picture`, and that of what augmentation does
        under `augmentation`, None when it does nothing.
    """
    from ecgexp.dataset.inspect import summarise
    from ecgexp.report import pictures

    validate(job)
    data = build_data(job.config)
    data.prepare(progress=True)
    folder = home_folder(job.config) / "inspect"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{job.choices['dataset']}-{data.fingerprint}.png"
    picture = pictures.example_windows(
        data.spec, data.split("train"), path, seed=job.config["seed"]
    )
    sheet = draw_effects(data, path.with_suffix(".augmentation.png"), seed=job.config["seed"])
    return {
        **summarise(data),
        "picture": str(picture),
        "augmentation": None if sheet is None else str(sheet),
    }


def verify(job: Job) -> str:
    """Read every recording of a data set.

    Returns:
        What was read, in one line and one more per remark.

    Raises:
        DataError: Recordings cannot be used; names each of them.
    """
    from ecgexp.dataset.verify import verify as read_all

    validate(job)
    found = read_all(build_data(job.config), progress=True)
    if found.faults:
        listed = "\n".join(f"- {fault}" for fault in found.faults)
        raise DataError(
            f"{found.name}: {len(found.faults)} of {found.n_records} recordings cannot be used\n"
            f"{listed}"
        )
    classes = ", ".join(f"{label} {count}" for label, count in found.classes.items())
    sound = f"{found.name}: {found.n_records} recordings are sound; "
    summary = f"{sound}{found.n_windows} windows ({classes})"
    return "\n".join([summary, *(f"- {line}" for line in (*found.checks, *found.remarks))])
