"""The effects of a training run, one after the other, each on a share of the windows."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from ecgexp.augmentation.mixing import mixup
from ecgexp.errors import ConfigError

Effect = Callable[[NDArray[np.float32], float, np.random.Generator], NDArray[np.float32]]


class Augmentation:
    """Apply effects `(x, fs_hz, rng) -> x` in order, on training windows only."""

    def __init__(self, *, effects: Sequence[Effect], share: float, seed: int) -> None:
        """Keep the effects.

        Args:
            effects: What may happen, in order.
            share: Probability of each effect for each window.
            seed: Seed of every draw.

        Raises:
            ConfigError: The share is no probability, or an effect cannot be called.
        """
        if not 0 <= share <= 1:
            raise ConfigError(f"augmentation.share={share:g} must lie in 0..1")
        wrong = [effect for effect in effects if not callable(effect)]
        if wrong:
            raise ConfigError(f"augmentation.effects: {wrong[0]!r} is no effect")
        self._effects = tuple(effects)
        self._share = share
        self._seed = seed

    @property
    def effects(self) -> tuple[Effect, ...]:
        """What may happen, in order."""
        return self._effects

    def apply(
        self, x: NDArray[np.float32], fs_hz: float, *, index: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """Change a batch.

        Args:
            x: Windows (window, lead, sample).
            fs_hz: Their sampling rate.
            index: Which training windows they are, in order (window,). Every epoch draws other
                batches, so that this is all a draw needs to be new in each epoch and the same
                after a restart.

        Returns:
            New windows, same shape and dtype; `x` is left alone.

        Raises:
            ConfigError: The windows are images, which the effects know nothing of.
        """
        if self._effects and x.ndim != 3:
            raise ConfigError(
                f"augmentation.effects: the windows are images {x.shape[1:]}, the effects change "
                "signals (lead, sample); use augmentation=none"
            )
        rng = self._rng(index)
        changed = x.copy()
        for effect in self._effects:
            chosen = np.flatnonzero(rng.random(len(x)) < self._share)
            if len(chosen):
                changed[chosen] = effect(changed[chosen], fs_hz, rng)
        return changed

    def mix(
        self,
        x: NDArray[np.float32],
        y: NDArray[np.int64],
        n_classes: int,
        *,
        index: NDArray[np.int64],
    ) -> tuple[NDArray[np.float32], NDArray[np.int64 | np.float32]]:
        """Return a batch and its classes as they are."""
        return x, y

    def _rng(self, index: NDArray[np.int64], *stream: int) -> np.random.Generator:
        batch = zlib.crc32(np.ascontiguousarray(index).data)
        return np.random.default_rng((self._seed, batch, *stream))


class MixingAugmentation(Augmentation):
    """Effects first, then mixup: training windows are blended, and so are their classes."""

    def __init__(
        self, *, effects: Sequence[Effect], share: float, mixup_alpha: float, seed: int
    ) -> None:
        """Keep the effects.

        Args:
            effects: What may happen, in order.
            share: Probability of each effect for each window.
            mixup_alpha: Both parameters of the beta distribution of the shares.
            seed: Seed of every draw.

        Raises:
            ConfigError: Alpha is not positive, the share is no probability, or an effect cannot be
                called.
        """
        super().__init__(effects=effects, share=share, seed=seed)
        if not mixup_alpha > 0:
            raise ConfigError(f"augmentation.mixup_alpha={mixup_alpha:g} must be positive")
        self._alpha = mixup_alpha

    def mix(
        self,
        x: NDArray[np.float32],
        y: NDArray[np.int64],
        n_classes: int,
        *,
        index: NDArray[np.int64],
    ) -> tuple[NDArray[np.float32], NDArray[np.int64 | np.float32]]:
        """Blend a batch.

        Args:
            x: Windows (window, ...).
            y: Classes (window,), or a 0 or 1 for each (window, class).
            n_classes: Number of classes.
            index: Which training windows they are, as in `apply`.

        Returns:
            New windows, and how much of each class is in them (window, class).
        """
        rng = self._rng(index, 1)
        return mixup(x, y, rng, alpha=self._alpha, n_classes=n_classes)
