from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score

from ecgexp.__main__ import main
from ecgexp.config.compose import compose
from ecgexp.errors import ConfigError, TrackingError
from ecgexp.gather import gather
from ecgexp.pipeline.predictions import save_predictions
from ecgexp.tracking.store import Store

LABELS = ("N", "S", "V")


def add_run(
    home: Path, fold: int, seed: int, *, records: range, labels=LABELS, file=True, threshold=None
):
    store = Store(experiment="ecgexp", home=home)
    params = {"seed": seed, "dataset.fold": fold, "objective.f1_labels": ["N", "V"]}
    run = store.start(name=f"fold{fold}-s{seed}", params=params, tags={})
    random = np.random.default_rng([fold, seed])
    n = 10 * len(records)
    record = np.repeat([str(name) for name in records], 10)
    y = np.random.default_rng(fold).integers(0, 3, n)
    logits = (np.eye(3)[y] + random.normal(0, 0.8, (n, 3))).astype(np.float32)
    if threshold is not None:
        y = np.stack([y != 0, y == 1, y != 2], axis=1).astype(int)
    windows = SimpleNamespace(
        y=y, record=record, patient=record, start=np.tile(np.arange(10), len(records))
    )
    data = SimpleNamespace(spec=SimpleNamespace(labels=labels))
    with run.active():
        if file:
            room = SimpleNamespace(
                folder=run.folder,
                data=data,
                run=run,
                objective=lambda: SimpleNamespace(threshold=threshold),
            )
            save_predictions(room, "test", windows, logits)
        run.log_metrics({"test/f1_macro": 0.5})
    return y, logits, record


def job(home: Path, *words: str):
    return compose("gather", [f"paths.home={home}", "n_draws=50", *words], [])


def test_folds_are_pooled_with_an_interval_over_patients(home: Path) -> None:
    parts = [add_run(home, fold, 0, records=range(9 * fold, 9 * fold + 9)) for fold in (0, 1)]
    y = np.concatenate([part[0] for part in parts])
    predicted = np.concatenate([part[1] for part in parts]).argmax(1)
    gathered = gather(job(home), "")
    figures = gathered.figures
    assert figures["accuracy"].value == pytest.approx(accuracy_score(y, predicted))
    selected = f1_score(y, predicted, labels=[0, 2], average="macro")
    assert figures["f1_selected"].value == pytest.approx(selected)
    assert figures["accuracy"].low < figures["accuracy"].value < figures["accuracy"].high
    assert (gathered.n_windows, gathered.n_patients) == (180, 18)
    assert "2 folds pooled" in gathered.how
    assert (gathered.folder / "confusion_matrix.png").is_file()

    record = np.concatenate([part[2] for part in parts])
    left = gather(job(home, "without_records=[3,12]"), "").figures["accuracy"].value
    kept = ~np.isin(record, ["3", "12"])
    assert left == pytest.approx(accuracy_score(y[kept], predicted[kept]))


def test_windows_of_several_classes_are_measured_class_by_class(home: Path) -> None:
    parts = [
        add_run(home, fold, 0, records=range(9 * fold, 9 * fold + 9), threshold=0.7)
        for fold in (0, 1)
    ]
    y = np.concatenate([part[0] for part in parts])
    named = 1 / (1 + np.exp(-np.concatenate([part[1] for part in parts]))) >= 0.7
    gathered = gather(job(home), "")
    f1 = f1_score(y, named, average="macro")
    assert gathered.figures["f1_macro"].value == pytest.approx(f1)
    assert gathered.figures["accuracy"].value == pytest.approx(accuracy_score(y, named))
    assert not (gathered.folder / "confusion_matrix.png").exists()


def test_seeds_are_averaged(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    parts = [add_run(home, 0, seed, records=range(9)) for seed in (1, 2, 3)]
    each = [accuracy_score(y, logits.argmax(1)) for y, logits, _ in parts]
    found = gather(job(home), "").figures["accuracy"]
    assert found.value == pytest.approx(np.mean(each))
    assert found.high - found.value == pytest.approx(4.302653 * np.std(each, ddof=1) / 3**0.5)
    assert main(["gather", f"paths.home={home}"]) == 0
    out = capsys.readouterr().out
    assert "mean over seeds" in out
    assert f"{np.mean(each):.4f}" in out


@pytest.mark.parametrize(
    ("second", "message"),
    [
        ({"fold": 0, "seed": 0, "records": range(5, 9)}, "neither folds nor seeds"),
        ({"fold": 0, "seed": 1, "records": range(4)}, "a fold is missing"),
        ({"fold": 1, "seed": 0, "records": range(9, 12), "labels": ("a", "b", "c")}, "of one task"),
        (
            {"fold": 1, "seed": 0, "records": range(9, 12), "threshold": 0.4},
            "by different thresholds, .* gather runs of one objective.threshold",
        ),
    ],
)
def test_what_is_no_whole_is_refused(home: Path, second, message: str) -> None:
    add_run(home, 0, 0, records=range(9))
    add_run(home, **second)
    with pytest.raises(ConfigError, match=message):
        gather(job(home), "")


def test_what_is_missing_is_named(home: Path) -> None:
    add_run(home, 0, 0, records=range(9), file=False)
    with pytest.raises(TrackingError, match=r"has no artefact 'predictions/test\.npz'"):
        gather(job(home), "")
    with pytest.raises(ConfigError, match=r"no FINISHED run meets 'f1 > 0.9'"):
        gather(job(home), "f1 > 0.9")
