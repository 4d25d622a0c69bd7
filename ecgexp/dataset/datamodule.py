"""Serve cached windows to Lightning in batches that depend on the seed and the epoch only."""

from __future__ import annotations

import logging
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset, Sampler

from ecgexp.augmentation.steps import Augmentation, Effect
from ecgexp.dataset import progress as show
from ecgexp.dataset.labels import class_rows
from ecgexp.dataset.sampling import Sampling, drawn_lead
from ecgexp.dataset.source import CachedWindows, Source, fingerprint, prepare
from ecgexp.dataset.splits import stratified_draw
from ecgexp.dataset.units import JUDGED_BY, JudgedBy, mean_by_unit, one_row_each, units_of
from ecgexp.dataset.windows import Split, WindowSet
from ecgexp.errors import ConfigError
from ecgexp.preprocessing.chain import Chain
from ecgexp.types import SignalSpec

log = logging.getLogger(__name__)

Batch = tuple[torch.Tensor, torch.Tensor]


class EcgDataModule(pl.LightningDataModule):
    """Windows of one source after one preprocessing chain, split by patient."""

    def __init__(  # noqa: PLR0913
        self,
        *,
        source: Source,
        chain: Chain,
        cache_dir: Path,
        batch_size: int,
        eval_batch_size: int,
        n_workers: int,
        sampling: Sampling,
        judged_by: JudgedBy,
        seed: int,
    ) -> None:
        """Describe the data; nothing is read before `prepare`.

        Args:
            source: Where recordings come from.
            chain: The preprocessing.
            cache_dir: Folder of all window caches.
            batch_size: Windows per training batch.
            eval_batch_size: Windows per validation and test batch.
            n_workers: Loader processes; 0 serves from this one.
            sampling: Which training windows make an epoch.
            judged_by: What has one answer in figures: each `window`, or a `record`, whose windows'
                logits are averaged.
            seed: Seed of batches and draws.

        Raises:
            ConfigError: A batch size, the number of workers or `judged_by` makes no sense.
        """
        super().__init__()
        self.name = source.name
        if min(batch_size, eval_batch_size) < 1 or n_workers < 0:
            raise ConfigError(
                f"dataset: batch_size={batch_size} and eval_batch_size={eval_batch_size} must be "
                f"at least 1, n_workers={n_workers} at least 0"
            )
        if judged_by not in JUDGED_BY:
            raise ConfigError(
                f"dataset.judged_by={judged_by!r}: choose one of {', '.join(JUDGED_BY)}"
            )
        self._source = source
        self._chain = chain
        self._cache_dir = Path(cache_dir)
        self._batch_size = batch_size
        self._eval_batch_size = eval_batch_size
        self._n_workers = n_workers
        self._sampling = sampling
        self._judged_by: JudgedBy = judged_by
        self._seed = seed
        self._first_epoch = 0
        self._cached: CachedWindows | None = None
        self._train_x: NDArray[np.float32] | None = None  # every lead
        self._augmentation: Augmentation | None = None

    def augment(self, augmentation: Augmentation | None) -> None:
        """Choose what happens to training batches; validation and test are never touched."""
        self._augmentation = augmentation

    @property
    def effects(self) -> tuple[Effect, ...]:
        """What may happen to training windows, in order."""
        return () if self._augmentation is None else self._augmentation.effects

    def prepare(self, progress: bool = True) -> None:
        """Open the cached windows, making them first when they are not there.

        Args:
            progress: Show a bar while records are prepared.

        Raises:
            DataError: A recording, annotation or split cannot be used, or the disk is full.
            ConfigError: These windows do not allow the sampling.
        """
        if self._cached is None:
            track = show.bar if progress else show.silent
            cached = prepare(self._source, self._chain, self._cache_dir, track=track)
            self._sampling.check(cached.spec)
            self._train_x = cached.sets["train"].x
            lead = self._sampling.lead_of(cached.spec)
            self._cached = cached if lead is None else cached.with_lead(lead)

    def prepare_data(self) -> None:
        """Make the cache; Lightning's hook."""
        self.prepare()

    def setup(self, stage: str | None = None) -> None:
        """Open the cache; Lightning's hook."""
        self.prepare()

    @property
    def source(self) -> Source:
        """Where the recordings come from."""
        return self._source

    @property
    def spec(self) -> SignalSpec:
        """Shape, rate, leads and labels of the windows."""
        return self._windows().spec

    @property
    def training_shape(self) -> tuple[int, ...]:
        """Shape of a window as training sees it: `spec.window_shape`, or shorter."""
        return (*self.spec.window_shape[:-1], self._sampling.n_samples(self.spec))

    @property
    def fingerprint(self) -> str:
        """Identity of what makes the windows: source content and preprocessing."""
        return fingerprint(self._source, self._chain)

    @property
    def caveat(self) -> str:
        """What a reader of the figures must know of the split; empty when it is clean."""
        return self._windows().caveat

    @property
    def class_counts(self) -> tuple[int, ...]:
        """Windows of each class in the training split."""
        counts = class_rows(self.split("train").y, self.spec.n_classes).sum(axis=0)
        return tuple(int(count) for count in counts)

    def split(self, name: Split) -> WindowSet:
        """Return the windows of a split."""
        sets = self._windows().sets
        if name not in sets:
            raise ConfigError(f"split {name!r}: choose one of {', '.join(sets)}")
        return sets[name]

    def units(self, name: Split) -> NDArray[np.int64] | None:
        """Return which answer each window of a split belongs to; None when each is its own."""
        return units_of(self.split(name), self._judged_by)

    def judge(
        self, name: Split, logits: NDArray[np.float32]
    ) -> tuple[WindowSet, NDArray[np.float32]]:
        """Turn logits of a split's windows into what figures are made of.

        Args:
            name: The split.
            logits: Outputs of a network (window, class).

        Returns:
            One row and the mean of the logits (unit, class) per window or record, as `judged_by`
            says.
        """
        units = self.units(name)
        return one_row_each(self.split(name), units), mean_by_unit(logits, units)

    def calibration_windows(self, n: int) -> NDArray[np.float32]:
        """Draw training windows (window, lead, sample), classes as even as they allow.

        Args:
            n: How many; all of them where there are fewer.
        """
        train = self.split("train")
        if n > len(train):
            log.warning("calibrating on all %d training windows, %d were asked for", len(train), n)
        return _draw(train, min(n, len(train)), self._seed)

    def golden_windows(self, n: int) -> NDArray[np.float32]:
        """Draw validation windows (window, lead, sample), classes as even as they allow."""
        return _draw(self.split("val"), n, self._seed)

    def state_dict(self) -> dict[str, int]:
        """Return what a checkpoint at the end of an epoch must remember; Lightning's hook."""
        return {"epochs_done": 0 if self.trainer is None else self.trainer.current_epoch + 1}

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        """Go on where a checkpoint ended; Lightning's hook."""
        self._first_epoch = state_dict["epochs_done"]

    def train_dataloader(self) -> DataLoader[Batch]:
        """Shuffled batches; the order of epoch k is the same after a restart."""
        train = self.split("train")
        batches = EpochBatches(
            self._sampling.size(train),
            self._batch_size,
            order=lambda epoch: self._sampling.order(
                train, np.random.default_rng((self._seed, epoch))
            ),
        )
        # Workers fetch ahead: in a resumed fit even before Lightning sets the epoch.
        batches.set_epoch(self._first_epoch)
        return self._loader("train", batches)

    def val_dataloader(self) -> DataLoader[Batch]:
        """Batches in the order of the cache."""
        return self._loader("val", self._in_order("val"))

    def test_dataloader(self) -> DataLoader[Batch]:
        """Batches in the order of the cache."""
        return self._loader("test", self._in_order("test"))

    def _in_order(self, split: Split) -> EpochBatches:
        n = len(self.split(split))
        return EpochBatches(n, self._eval_batch_size, order=lambda epoch: np.arange(n))

    def _windows(self) -> CachedWindows:
        self.prepare()
        if self._cached is None:
            raise RuntimeError("prepare() left no windows")
        return self._cached

    def _loader(self, split: Split, batches: EpochBatches) -> DataLoader[Batch]:
        windows, change = self.split(split), None
        if split == "train" and self._train_x is not None:
            windows, change = replace(windows, x=self._train_x), self._change
        return DataLoader(
            GatheredWindows(windows, change),
            sampler=batches,  # type: ignore[arg-type]  # yields whole batches of indices
            batch_size=None,
            num_workers=self._n_workers,
            persistent_workers=self._n_workers > 0,
        )

    def _change(
        self, x: NDArray[np.float32], y: NDArray[np.int64], index: NDArray[np.int64]
    ) -> tuple[NDArray[np.float32], NDArray[Any]]:
        """Draw leads, crop, augment and mix; the same batch always comes out the same."""
        batch = zlib.crc32(np.ascontiguousarray(index).data)
        rng = np.random.default_rng((self._seed, batch, 1))  # not the augmentation's own draws
        if x.shape[1] > self.spec.n_leads:
            x = drawn_lead(x, rng)
        x = self._sampling.crop(x, self.spec, rng)
        if self._augmentation is None:
            return x, y
        x = self._augmentation.apply(x, self.spec.fs_hz, index=index)
        return self._augmentation.mix(x, y, self.spec.n_classes, index=index)


Change = Callable[
    [NDArray[np.float32], NDArray[np.int64], NDArray[np.int64]],
    tuple[NDArray[np.float32], NDArray[Any]],
]


class GatheredWindows(Dataset[Batch]):
    """Gather all windows of a batch from the memory map at once, not one by one."""

    def __init__(self, windows: WindowSet, change: Change | None) -> None:
        self._x = windows.x
        self._y = windows.y
        self._change = change

    def __len__(self) -> int:
        return len(self._y)

    def __getitem__(self, index: NDArray[np.int64]) -> Batch:
        """Return (batch, lead, sample) float32 and classes (batch,) int64.

        Of mixed windows, or of windows with several classes, it is (batch, class).
        """
        x, y = self._x[index], self._y[index]
        if self._change is not None:
            x, y = self._change(x, y, index)
        return torch.from_numpy(x), torch.from_numpy(y)


class EpochBatches(Sampler[NDArray[np.int64]]):
    """Yield index arrays of near-equal size, in an order that each epoch has for itself.

    Near-equal: a last batch of one window would break batch normalisation.
    """

    def __init__(
        self, n: int, batch_size: int, *, order: Callable[[int], NDArray[np.int64]]
    ) -> None:
        self._n_batches = -(-n // batch_size)
        self._order = order
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch to serve next; Lightning calls this before every epoch."""
        self._epoch = epoch

    def __len__(self) -> int:
        return self._n_batches

    def __iter__(self) -> Iterator[NDArray[np.int64]]:
        # A generator, so that the epoch is read with the first batch: a resumed fit makes its
        # loader's iterator before Lightning sets the epoch.
        if self._n_batches == 0:
            return
        yield from np.array_split(self._order(self._epoch), self._n_batches)


def _draw(windows: WindowSet, n: int, seed: int) -> NDArray[np.float32]:
    if n == 0:
        return windows.x[:0]
    return np.ascontiguousarray(windows.x[stratified_draw(windows.y, n, seed=seed)])
