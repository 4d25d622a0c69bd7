"""The page of a run: everything a reader wants to look at, in one file that works offline."""

from __future__ import annotations

from pathlib import Path

from ecgexp.pipeline.room import Room
from ecgexp.report.page.run import Picture, write_run_page

PAGE = "run.html"


def write_page(room: Room, name: str) -> Path:
    """Log `run.html`.

    Args:
        room: The run's folder, data and settings.
        name: The run's name.
    """
    from ecgexp.dataset.inspect import summarise
    from ecgexp.tracking import names

    run, folder = room.run, room.folder
    metrics, tags = run.metrics, run.tags
    device: dict[str, dict[str, float]] = {}
    for metric, value in metrics.items():
        if metric.startswith("deploy/") and metric.count("/") == 2:
            _, target, bare = metric.split("/")
            device.setdefault(target, {})[bare] = value
    facts = {
        "run": run.run_id,
        "overrides": tags.get(names.OVERRIDES_TAG, ""),
        "commit": tags.get(names.GIT_SHA_TAG, "unknown"),
        "deployable": tags.get(names.REASON_TAG, "not deployed"),
    }
    path = write_run_page(
        folder / PAGE,
        title=name,
        facts=facts,
        data_card=summarise(room.data),
        figures=metrics,
        device=device,
        pictures=_pictures(folder),
        config=(folder / "config.yaml").read_text("utf-8"),
    )
    run.log_artefact(path)
    return path


def _pictures(folder: Path) -> list[Picture]:
    listed = [
        ("Learning curves", "Loss and validation figures by epoch.", "learning_curves.png"),
        ("Confusion matrix", "Float network on the test split.", "confusion_matrix.png"),
        ("Certainty", "Can its probabilities be trusted? Test split.", "certainty.png"),
        ("Worst errors", "The mistakes it was surest of.", "error_examples.png"),
        ("Saliency", "What the answers of some of them hang on.", "saliency.png"),
        ("Augmentation", "What each effect does to a training window.", "augmentation.png"),
        ("Channels", "What pruning left of each layer.", "channels.png"),
        ("Sensitivity", "What each layer alone costs when it is rounded.", "sensitivity.png"),
        ("Bits", "How many bits the weights of each layer have.", "bits_per_layer.png"),
        (
            "Ranges",
            "Channels of each layer before and after equalisation: closer together loses less.",
            "channel_ranges.png",
        ),
    ]
    layers = sorted(folder.glob("deploy/*/**/layers.png"))
    listed += [
        (
            "Layers on the device",
            "Instructions and estimated cycles.",
            str(found.relative_to(folder)),
        )
        for found in layers
    ]
    return [Picture(heading=head, note=note, path=folder / file) for head, note, file in listed]
