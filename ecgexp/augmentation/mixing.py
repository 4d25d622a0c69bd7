"""Mix training windows with each other; labels become shares of classes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def mixup(
    x: NDArray[np.float32],
    y: NDArray[np.int64],
    rng: np.random.Generator,
    *,
    alpha: float,
    n_classes: int,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mix each window of a batch with another one, `share * x + (1 - share) * other`.

    Zhang et al. 2018, with a share for each window instead of one for the batch.

    Args:
        x: Windows (window, lead, sample).
        y: Classes (window,), or a 0 or 1 for each (window, class).
        rng: Where randomness comes from.
        alpha: Both parameters of the beta distribution of the shares, positive; small ones leave
            most windows nearly alone.
        n_classes: Number of classes.

    Returns:
        The mixed windows, and how much of each class is in them (window, class).
    """
    share = rng.beta(alpha, alpha, len(x)).astype(np.float32)
    other = rng.permutation(len(x))
    rows = np.eye(n_classes, dtype=np.float32)[y] if y.ndim == 1 else y.astype(np.float32)
    wide = share.reshape(-1, *(1,) * (x.ndim - 1))
    labels = share[:, None] * rows + (1 - share[:, None]) * rows[other]
    return wide * x + (1 - wide) * x[other], labels
