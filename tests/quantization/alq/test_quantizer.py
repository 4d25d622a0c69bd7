"""The whole stage on a real fit, in a room as small as a stage needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import pytorch_lightning as pl
import torch
from onnx import numpy_helper
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from ecgexp.errors import ConfigError, ExportError
from ecgexp.quantization.alq.groups import LayerRule
from ecgexp.quantization.alq.quantizer import AdaptiveMultiBit
from ecgexp.quantization.alq.schedule import Stage
from ecgexp.quantization.ptq import StaticInt8
from ecgexp.quantization.reference import run_onnx
from ecgexp.training import callbacks
from ecgexp.training.fit import fit
from ecgexp.training.losses import CrossEntropy, Objective
from ecgexp.training.optimizer import OptimizerSpec
from ecgexp.training.trainer import build_trainer
from ecgexp.types import SignalSpec

SPEC = SignalSpec(fs_hz=50.0, leads=("II",), n_samples=64, labels=("slow", "fast"))
MONITOR = {"metric": "val/f1_macro", "mode": "max"}


class Waves(pl.LightningDataModule):
    """Noisy sines of two frequencies; every epoch in the same order."""

    spec = SPEC

    def __init__(self) -> None:
        super().__init__()
        draw = np.random.default_rng(0)
        y = draw.integers(0, 2, 160)
        t = np.arange(SPEC.n_samples) / SPEC.fs_hz
        wave = np.sin(2 * np.pi * np.array([2.0, 5.0])[y, None] * t + draw.uniform(0, 6, (160, 1)))
        self.x = (wave + draw.normal(0, 0.5, wave.shape))[:, None].astype(np.float32)
        self.y = y

    def units(self, name: str) -> None:
        """Every window is judged by itself."""

    def _loader(self, rows: slice) -> DataLoader[Any]:
        pairs = TensorDataset(torch.from_numpy(self.x[rows]), torch.from_numpy(self.y[rows]))
        return DataLoader(pairs, batch_size=32)

    def train_dataloader(self) -> DataLoader[Any]:
        return self._loader(slice(0, 128))

    def val_dataloader(self) -> DataLoader[Any]:
        return self._loader(slice(128, 160))


class Stopped(pl.Callback):
    """Fall over in the middle of a fit."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.current_epoch == self.epoch:
            raise InterruptedError


@dataclass
class Room:
    folder: Path
    stop_at: int | None = None
    data: Waves = field(default_factory=Waves)
    metrics: dict[str, float] = field(default_factory=dict)
    artefacts: list[Path] = field(default_factory=list)
    seed: int = 5

    @property
    def run(self) -> Room:
        return self

    def log_metrics(self, metrics: dict[str, float]) -> None:
        self.metrics |= metrics

    def log_artefact(self, path: Path) -> None:
        self.artefacts.append(path)

    def objective(self) -> Objective:
        return CrossEntropy(
            spec=SPEC,
            class_counts=(80, 80),
            class_weights="none",
            label_smoothing=0.0,
            f1_labels=None,
        )

    def network(self) -> nn.Module:
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Conv1d(1, 16, 9, stride=2, bias=False), nn.BatchNorm1d(16), nn.ReLU(),
            nn.Conv1d(16, 8, 5), nn.ReLU(), nn.MaxPool1d(4), nn.Flatten(), nn.Linear(48, 2),
        )  # fmt: skip

    def fit(
        self,
        network: nn.Module,
        *,
        stage: str,
        optimizer: OptimizerSpec,
        max_epochs: int,
        to_the_end: bool,
        **named: Sequence[pl.Callback],
    ) -> Path:
        assert to_the_end, "an earlier epoch may be over the budget"
        folder = self.folder / stage
        keep = [
            callbacks.BestCheckpoint(folder=folder, compare_from=1.0, **MONITOR),  # type: ignore[arg-type]
            callbacks.LastCheckpoint(folder=folder),
        ]
        stops = [] if self.stop_at is None else [Stopped(self.stop_at)]
        trainer = build_trainer(
            callbacks=[*named["callbacks"], *keep, *stops], logger=False,
            default_root_dir=str(self.folder), accelerator="cpu", precision="32-true", n_threads=1,
            deterministic=True, max_epochs=max_epochs, gradient_clip_norm=None,
            limit_train_batches=1.0, limit_val_batches=1.0, progress="never",
        )  # fmt: skip
        last = folder / "last.ckpt"
        return fit(
            data=self.data, network=network, objective=self.objective(), optimizer=optimizer,
            trainer=trainer, monitor=MONITOR["metric"], seed=self.seed,
            resume_from=last if last.is_file() else None, run_info={},
        )  # fmt: skip


def stage(phase: str, epochs: int) -> Stage:
    return Stage(phase=phase, epochs=epochs, rate=0.01, decay=0.9)  # type: ignore[arg-type]


def quantizer(**change: Any) -> AdaptiveMultiBit:
    fields: dict[str, Any] = {
        "bits": 1.4,
        "top_k": 0.5,
        "layers": [LayerRule(match="*", structure="channelwise", parts=1, most_bits=3)],
        "rounds": 2,
        "every_round": [stage("basis", 1), stage("coordinate", 1), stage("prune", 1)],
        "finish": [stage("master", 3), stage("coordinate", 1)],
        "coordinates": "int8",
        "activations": StaticInt8(
            n_calibration=64,
            method="minmax",
            percentile=99.9,
            equalize=False,
            bias_correction=False,
            tie_free=True,
            sensitivity=0,
            max_drop=None,
        ),
    }
    return AdaptiveMultiBit(**fields | change)


def run(room: Room, **change: Any) -> Path:
    out = room.folder / "model.onnx"
    return quantizer(**change).retrain(room, Path(), room.data.x[:64], out)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Room:
    room = Room(tmp_path_factory.mktemp("whole"))
    run(room)
    return room


def test_the_network_learns_within_the_budget(whole: Room) -> None:
    assert whole.metrics["quantization/alq_bits_per_weight"] <= 1.4
    assert [path.name for path in whole.artefacts] == ["bits_per_layer.png"]
    assert whole.artefacts[0].stat().st_size > 5000
    logits = run_onnx(whole.folder / "model.onnx", whole.data.x)
    assert float(np.mean(logits.argmax(1) == whole.data.y)) > 0.9


def test_every_group_of_the_int8_network_has_few_magnitudes(whole: Room) -> None:
    """Three planes give four magnitudes at most, in each output channel here."""
    model = onnx.load(whole.folder / "model.onnx")
    constants = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    weights = [a for a in constants.values() if a.dtype == np.int8 and a.ndim > 1]
    assert [w.shape for w in weights] == [(16, 1, 9), (8, 16, 5), (2, 48)]
    counts = [len(np.unique(np.abs(row.astype(int)))) for w in weights for row in w]
    assert max(counts) <= 4
    assert sum(count > 1 for count in counts) > 1


@pytest.mark.parametrize("bit_planes", [True, False])
def test_the_device_keeps_planes_as_planes(whole: Room, bit_planes: bool) -> None:
    pytest.importorskip("tvm")
    from ecgexp.deploy.importer import import_onnx
    from ecgexp.deploy.integer import rewrite
    from ecgexp.deploy.kernels.weights import Storage
    from ecgexp.deploy.program import constant_bytes

    network = import_onnx(whole.folder / "model.onnx")
    storage = Storage(bit_planes=bit_planes)
    program = rewrite(network, isa="generic", allow_float_ops=0, storage=storage)
    names = [step.kernel.name for step in program.steps]
    assert any("_planes_" in name for name in names) == bit_planes
    assert (constant_bytes(program) < 600) == bit_planes, constant_bytes(program)


def test_a_killed_run_ends_as_an_uninterrupted_one(whole: Room, tmp_path: Path) -> None:
    for epoch in (2, 5, 8):
        with pytest.raises(InterruptedError):
            run(Room(tmp_path, stop_at=epoch))
    run(Room(tmp_path))
    found = (tmp_path / "model.onnx").read_bytes()
    assert found == (whole.folder / "model.onnx").read_bytes()


@pytest.mark.parametrize("coordinates", ["float16", "float32"])
def test_floating_coordinates_leave_a_float_network(
    whole: Room, tmp_path: Path, coordinates: str
) -> None:
    (tmp_path / "alq").symlink_to(whole.folder / "alq")
    room = Room(tmp_path)
    out = run(room, coordinates=coordinates)
    kinds = {node.op_type for node in onnx.load(out).graph.node}
    assert "Conv" in kinds
    assert "QuantizeLinear" not in kinds
    many = room.metrics["quantization/alq_coordinate_bytes"]
    assert (
        many
        == (2 if coordinates == "float16" else 4)
        * (whole.metrics["quantization/alq_coordinate_bytes"])
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bits": 0.0}, "quantization.bits=0: use more than 0, up to 8 per weight"),
        ({"bits": 9.0}, "quantization.bits=9: use more than 0"),
        ({"top_k": 0.0}, "quantization.top_k=0: use a share"),
        ({"rounds": 0}, "quantization.rounds=0: write at least 1"),
        ({"coordinates": "int4"}, "coordinates='int4': choose one of float32, float16, int8"),
    ],
)
def test_values_that_cannot_be_used(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        quantizer(**change)


def test_constant_calibration_windows(whole: Room, tmp_path: Path) -> None:
    (tmp_path / "alq").symlink_to(whole.folder / "alq")
    room = Room(tmp_path)
    with pytest.raises(ExportError, match="calibration windows are constant"):
        quantizer().retrain(room, Path(), np.zeros((64, 1, 64), np.float32), tmp_path / "o.onnx")  # type: ignore[arg-type]
