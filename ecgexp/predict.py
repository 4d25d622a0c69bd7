"""Label recordings that no label is known of, with the network of a run."""

from __future__ import annotations

import csv
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import yaml
from numpy.typing import NDArray

from ecgexp.config.build import build
from ecgexp.config.compose import Job
from ecgexp.config.validate import validate
from ecgexp.errors import ConfigError, DataError
from ecgexp.pipeline import home_folder, open_store
from ecgexp.training.metrics import answers_of, probabilities

if TYPE_CHECKING:
    import onnxruntime as ort

    from ecgexp.dataset.unlabelled import Recording
    from ecgexp.preprocessing.chain import Chain
    from ecgexp.types import SignalSpec

NETWORKS = ("deployed", "float")
JOINT, NONE = "+", "none"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What is said of one recording.

    Attributes:
        name: The recording.
        label: Its class, empty where there is a problem. Of a network that names several classes,
            all of them with + between, or `none`.
        probabilities: Of the classes, softmax of the mean logits over windows; or of each class by
            itself, the sigmoid.
        n_windows: Windows that were looked at.
        remark: What was done to fit the recording, or why it has no label.
    """

    name: str
    label: str
    probabilities: tuple[float, ...]
    n_windows: int
    remark: str


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """A folder's answers.

    Attributes:
        labels: Class names.
        answers: One per recording.
        ms_per_recording: Wall time from file to label, mean.
        folder: Where `answers.txt` and `predictions.csv` lie.
        several: Whether a recording can have several classes.
    """

    labels: tuple[str, ...]
    answers: list[Answer]
    ms_per_recording: float
    folder: Path
    several: bool

    @property
    def counts(self) -> dict[str, int]:
        """Recordings by class; the empty one counts problems."""
        said = [answer.label for answer in self.answers]
        if self.several:
            said = [label for labels in said for label in labels.split(JOINT)]
        return dict(Counter(said))


@dataclass(frozen=True, kw_only=True)
class Windowing:
    """How the run cut its recordings, which is how new ones are cut.

    Attributes:
        window_s: Length of a window.
        stride_s: From one window to the next; None for one out of the middle.
        fill: What fills the window of a shorter recording.
    """

    window_s: float
    stride_s: float | None
    fill: Any


def predict(job: Job) -> Prediction:
    """Label every recording of a folder; what cannot be read is reported and the rest done.

    Args:
        job: Composed from `conf/predict.yaml`.

    Raises:
        ConfigError: A key is wrong, or the run's network does not take recordings.
        DataError: There is no recording, or none that could be labelled.
        TrackingError: There is no such run, or it has no bundle.
    """
    from ecgexp.dataset.progress import bar
    from ecgexp.dataset.unlabelled import find_recordings
    from ecgexp.quantization.bundle import FLOAT_MODEL, read_bundle
    from ecgexp.quantization.reference import open_session

    validate(job)
    config = job.config
    for key in ("run_id", "input"):
        if config[key] is None:
            raise ConfigError(f"{key} is null: give {key}={'RUN' if key == 'run_id' else 'FOLDER'}")
    if config["network"] not in NETWORKS:
        raise ConfigError(f"network={config['network']!r}: use one of {', '.join(NETWORKS)}")
    source = Path(config["input"]).expanduser().resolve()
    paths = find_recordings(source)
    run = open_store(config).reopen(str(config["run_id"]))
    bundle = read_bundle(run.fetch_artefact("bundle", run.folder / "fetched"))
    trained = yaml.safe_load((bundle.folder / "config.yaml").read_text("utf-8"))
    reader = _Labeller(
        spec=bundle.spec,
        chain=build(trained["preprocessing"], path="preprocessing"),
        windowing=windowing(trained["dataset"], bundle.spec),
        session=open_session(
            bundle.onnx if config["network"] == "deployed" else bundle.folder / FLOAT_MODEL
        ),
        fs_hz=config["fs_hz"],
        mv_per_unit=config["mv_per_unit"],
        threshold=trained["objective"]["threshold"] if bundle.spec.several else None,
    )
    names = [path.relative_to(source).with_suffix("").as_posix() for path in paths]
    started = time.perf_counter()
    answers = [
        reader.label(path, name)
        for path, name in zip(paths, bar(names, "labelling", len(names)), strict=True)
    ]
    spent_s = time.perf_counter() - started
    folder = _output(config, run.run_id, source)
    prediction = Prediction(
        labels=bundle.spec.labels,
        answers=answers,
        ms_per_recording=1000 * spent_s / len(paths),
        folder=folder,
        several=bundle.spec.several,
    )
    _write(prediction)
    if not any(answer.label for answer in answers):
        raise DataError(
            f"input={source}: no recording could be labelled; the first: {answers[0].remark}"
        )
    return prediction


def windowing(dataset: dict[str, Any], spec: SignalSpec) -> Windowing:
    """Return how a run's data set cuts recordings.

    Raises:
        ConfigError: It cuts beats, for which R peaks must be known.
    """
    task = dataset.get("tasks", {}).get(dataset.get("task"), {})
    length = dataset.get("window_s", task.get("length_s"))
    if length is None or spec.features:
        raise ConfigError(
            "run_id: the run was trained on beats around known R peaks; `ecgexp predict` needs a "
            "network for windows of a recording, for example of dataset=cinc2017"
        )
    stride = dataset.get("stride_s", length) if "window_s" in dataset else task.get("stride_s")
    return Windowing(
        window_s=float(length),
        stride_s=None if stride is None else float(stride),
        fill=dataset.get("fill", "edge"),
    )


class _Labeller:
    """From a file to its class."""

    def __init__(
        self,
        *,
        spec: SignalSpec,
        chain: Chain,
        windowing: Windowing,
        session: ort.InferenceSession,
        fs_hz: float | None,
        mv_per_unit: float,
        threshold: float | None,
    ) -> None:
        self._spec = spec
        self._chain = chain
        self._windowing = windowing
        self._session = session
        self._fs_hz = fs_hz
        self._mv_per_unit = mv_per_unit
        self._threshold = threshold

    def label(self, path: Path, name: str) -> Answer:
        """Return the class of a recording, or why it has none."""
        from ecgexp.dataset.unlabelled import read_recording

        try:
            recording = read_recording(path, name, fs_hz=self._fs_hz, mv_per_unit=self._mv_per_unit)
            windows, remarks = self._windows(recording)
        except DataError as error:
            return Answer(name=name, label="", probabilities=(), n_windows=0, remark=str(error))
        entry = self._session.get_inputs()[0].name
        logits = [
            self._session.run(None, {entry: np.ascontiguousarray(window[None])})[0][0]
            for window in windows
        ]
        mean = np.asarray(logits, dtype=np.float64).mean(axis=0, keepdims=True)
        (probability,) = probabilities(mean, several=self._spec.several)
        return Answer(
            name=name,
            label=self._said(mean),
            probabilities=tuple(probability.tolist()),
            n_windows=len(windows),
            remark="; ".join(remarks),
        )

    def _said(self, logits: NDArray[np.float64]) -> str:
        (said,) = answers_of(logits, self._threshold)
        if self._threshold is None:
            return self._spec.labels[int(said)]
        named = [label for label, flag in zip(self._spec.labels, said, strict=True) if flag]
        return JOINT.join(named) or NONE

    def _windows(self, recording: Recording) -> tuple[NDArray[np.float32], list[str]]:
        from ecgexp.dataset.unlabelled import choose_leads
        from ecgexp.dataset.windows import cover, cut
        from ecgexp.preprocessing.resample import resample

        x = choose_leads(recording, self._spec.leads)
        _check(x, recording.name)
        remarks = []
        shown = tuple(lead.upper() for lead in recording.leads)
        if len(shown) == 1 and shown[0] != self._spec.leads[0].upper():
            remarks.append(f"lead {recording.leads[0] or '(no name)'} as {self._spec.leads[0]}")
        length = round(self._windowing.window_s * recording.fs_hz)
        if x.shape[-1] < length:
            seconds = x.shape[-1] / recording.fs_hz
            filled = "repeated" if self._windowing.fill == "repeat" else "padded"
            remarks.append(f"{seconds:.1f} s, {filled} to {self._windowing.window_s:g} s")
        filtered, fs_hz = self._chain.apply_record(x, recording.fs_hz)
        if fs_hz != self._spec.fs_hz and not self._spec.n_rows:
            filtered, fs_hz = resample(filtered, fs_hz, to_hz=self._spec.fs_hz)
        if recording.fs_hz != fs_hz:
            remarks.append(f"resampled from {recording.fs_hz:g} to {fs_hz:g} Hz")
        stride = self._windowing.stride_s
        starts = cover(x.shape[-1], length, round(stride * recording.fs_hz) if stride else None)
        first = np.round(starts * (fs_hz / recording.fs_hz)).astype(np.int64)
        windows = cut(
            filtered, first, round(self._windowing.window_s * fs_hz), self._windowing.fill
        )
        made, _ = self._chain.apply_window(windows, fs_hz)
        if made.shape[1:] != self._spec.window_shape:
            raise DataError(
                f"{recording.name}: windows of shape {made.shape[1:]} at {recording.fs_hz:g} Hz, "
                f"the network takes {self._spec.window_shape}; resample the recording"
            )
        return made, remarks


def _check(x: NDArray[np.float64], name: str) -> None:
    bad = int((~np.isfinite(x)).sum())
    if bad:
        raise DataError(f"{name}: {bad} of {x.size} samples are not finite; repair the recording")
    if float(np.ptp(x, axis=1).max(initial=0.0)) == 0.0:
        raise DataError(f"{name}: a flat line; check the electrodes and the lead")


def _output(config: dict[str, Any], run_id: str, source: Path) -> Path:
    folder = (
        Path(config["output"]).expanduser().resolve()
        if config["output"]
        else home_folder(config) / "predictions" / f"{run_id}-{source.name}"
    )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"output={folder}: cannot write there ({error.strerror}); name another folder"
        ) from error
    return folder


def _write(prediction: Prediction) -> None:
    """Write the Challenge's `answers.txt`, and a table with everything."""
    labelled = [answer for answer in prediction.answers if answer.label]
    lines = [f"{answer.name},{answer.label}\n" for answer in labelled]
    (prediction.folder / "answers.txt").write_text("".join(lines), "utf-8")
    with (prediction.folder / "predictions.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        classes = [f"p_{label}" for label in prediction.labels]
        writer.writerow(["name", "label", *classes, "n_windows", "remark"])
        for answer in prediction.answers:
            blank: Sequence[Any] = [""] * len(classes)
            shown = [f"{p:.6f}" for p in answer.probabilities] or blank
            writer.writerow([answer.name, answer.label, *shown, answer.n_windows, answer.remark])
