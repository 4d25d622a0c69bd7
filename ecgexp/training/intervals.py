"""How sure a figure is: bootstrap over patients, Student's t over runs."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from ecgexp.types import Interval

Measure = Callable[[NDArray[np.int64]], Mapping[str, float]]
"""Maps window numbers, with repetitions, to figures."""


def patient_bootstrap(
    patient: NDArray[np.str_], measure: Measure, *, n_draws: int, seed: int
) -> dict[str, Interval]:
    """Return figures of all windows with their 95 % percentile interval.

    Whole patients are drawn with replacement, since the windows of one patient are no independent
    witnesses (Efron and Tibshirani 1993, section 13.3).

    Args:
        patient: Patient of each window (window,).
        measure: Computes the figures.
        n_draws: Bootstrap samples.
        seed: Of the draws.
    """
    names, of_window = np.unique(patient, return_inverse=True)
    order = np.argsort(of_window, kind="stable")
    groups = np.split(order, np.cumsum(np.bincount(of_window))[:-1])
    figures = measure(np.arange(len(patient)))
    random = np.random.default_rng(seed)
    draws = [
        measure(np.concatenate([groups[k] for k in random.integers(len(names), size=len(names))]))
        for _ in range(n_draws)
    ]
    intervals = {}
    for name, value in figures.items():
        found = [draw[name] for draw in draws if name in draw]
        low, high = np.percentile(found, [2.5, 97.5])
        intervals[name] = Interval(value=value, low=float(low), high=float(high))
    return intervals


def mean_over_runs(values: Sequence[float]) -> Interval:
    """Return the mean of runs that differ by their seed, with Student's 95 % interval.

    Args:
        values: One figure per run, two or more.
    """
    from scipy.stats import t

    n = len(values)
    mean = float(np.mean(values))
    half = float(t.ppf(0.975, n - 1) * np.std(values, ddof=1) / math.sqrt(n))
    return Interval(value=mean, low=mean - half, high=mean + half)
