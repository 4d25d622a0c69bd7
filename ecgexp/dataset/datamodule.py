"""Serve cached windows to Lightning in batches that depend on the seed and the epoch only."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset, Sampler

from ecgexp.augmentation.steps import Augmentation
from ecgexp.dataset import progress as show
from ecgexp.dataset.source import CachedWindows, Source, fingerprint, prepare
from ecgexp.dataset.splits import stratified_draw
from ecgexp.dataset.windows import Split, WindowSet
from ecgexp.errors import ConfigError
from ecgexp.preprocessing.chain import Chain
from ecgexp.types import SignalSpec

Batch = tuple[torch.Tensor, torch.Tensor]


class EcgDataModule(pl.LightningDataModule):
    """Windows of one source after one preprocessing chain, split by patient."""

    def __init__(
        self,
        *,
        source: Source,
        chain: Chain,
        cache_dir: Path,
        batch_size: int,
        eval_batch_size: int,
        n_workers: int,
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
            seed: Seed of batches and draws.

        Raises:
            ConfigError: A batch size or the number of workers makes no sense.
        """
        super().__init__()
        self.name = source.name
        if min(batch_size, eval_batch_size) < 1 or n_workers < 0:
            raise ConfigError(
                f"dataset: batch_size={batch_size} and eval_batch_size={eval_batch_size} must be "
                f"at least 1, n_workers={n_workers} at least 0"
            )
        self._source = source
        self._chain = chain
        self._cache_dir = Path(cache_dir)
        self._batch_size = batch_size
        self._eval_batch_size = eval_batch_size
        self._n_workers = n_workers
        self._seed = seed
        self._first_epoch = 0
        self._cached: CachedWindows | None = None
        self._augmentation: Augmentation | None = None

    def augment(self, augmentation: Augmentation | None) -> None:
        """Choose what happens to training batches; validation and test are never touched."""
        self._augmentation = augmentation

    def prepare(self, progress: bool = True) -> None:
        """Open the cached windows, making them first when they are not there.

        Args:
            progress: Show a bar while records are prepared.

        Raises:
            DataError: A recording, annotation or split cannot be used, or the disk is full.
        """
        if self._cached is None:
            track = show.bar if progress else show.silent
            self._cached = prepare(self._source, self._chain, self._cache_dir, track=track)

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
        counts = np.bincount(self.split("train").y, minlength=self.spec.n_classes)
        return tuple(int(count) for count in counts)

    def split(self, name: Split) -> WindowSet:
        """Return the windows of a split."""
        sets = self._windows().sets
        if name not in sets:
            raise ConfigError(f"split {name!r}: choose one of {', '.join(sets)}")
        return sets[name]

    def calibration_windows(self, n: int) -> NDArray[np.float32]:
        """Draw training windows (window, lead, sample), classes as even as they allow."""
        return _draw(self.split("train"), n, self._seed)

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
        n = len(self.split("train"))
        batches = EpochBatches(n, self._batch_size, seed=self._seed)
        # Workers fetch ahead: in a resumed fit even before Lightning sets the epoch.
        batches.set_epoch(self._first_epoch)
        return self._loader("train", batches, self._augmentation)

    def val_dataloader(self) -> DataLoader[Batch]:
        """Batches in the order of the cache."""
        n = len(self.split("val"))
        return self._loader("val", EpochBatches(n, self._eval_batch_size, seed=None))

    def test_dataloader(self) -> DataLoader[Batch]:
        """Batches in the order of the cache."""
        n = len(self.split("test"))
        return self._loader("test", EpochBatches(n, self._eval_batch_size, seed=None))

    def _windows(self) -> CachedWindows:
        self.prepare()
        if self._cached is None:
            raise RuntimeError("prepare() left no windows")
        return self._cached

    def _loader(
        self, split: Split, batches: EpochBatches, augmentation: Augmentation | None = None
    ) -> DataLoader[Batch]:
        return DataLoader(
            GatheredWindows(self.split(split), self.spec.fs_hz, augmentation),
            sampler=batches,  # type: ignore[arg-type]  # yields whole batches of indices
            batch_size=None,
            num_workers=self._n_workers,
            persistent_workers=self._n_workers > 0,
        )


class GatheredWindows(Dataset[Batch]):
    """Gather all windows of a batch from the memory map at once, not one by one."""

    def __init__(self, windows: WindowSet, fs_hz: float, augmentation: Augmentation | None) -> None:
        self._x = windows.x
        self._y = windows.y
        self._fs_hz = fs_hz
        self._augmentation = augmentation

    def __len__(self) -> int:
        return len(self._y)

    def __getitem__(self, index: NDArray[np.int64]) -> Batch:
        """Return (batch, lead, sample) float32 and classes (batch,) int64."""
        x = self._x[index]
        if self._augmentation is not None:
            x = self._augmentation.apply(x, self._fs_hz, index=index)
        return torch.from_numpy(x), torch.from_numpy(self._y[index])


class EpochBatches(Sampler[NDArray[np.int64]]):
    """Yield index arrays of near-equal size; shuffled from the seed and the epoch when seeded.

    Near-equal: a last batch of one window would break batch normalisation.
    """

    def __init__(self, n: int, batch_size: int, *, seed: int | None) -> None:
        self._n = n
        self._n_batches = -(-n // batch_size)
        self._seed = seed
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
        if self._seed is None:
            order = np.arange(self._n)
        else:
            order = np.random.default_rng((self._seed, self._epoch)).permutation(self._n)
        yield from np.array_split(order, self._n_batches)


def _draw(windows: WindowSet, n: int, seed: int) -> NDArray[np.float32]:
    return np.ascontiguousarray(windows.x[stratified_draw(windows.y, n, seed=seed)])
