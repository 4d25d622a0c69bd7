from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import bootstrap

from ecgexp.training.intervals import patient_bootstrap


def test_one_window_per_patient_is_the_ordinary_bootstrap() -> None:
    hit = np.random.default_rng(0).random(200) < 0.8
    found = patient_bootstrap(
        np.arange(200).astype(str), lambda rows: {"mean": hit[rows].mean()}, n_draws=2000, seed=1
    )["mean"]
    reference = bootstrap(
        (hit,), np.mean, n_resamples=2000, method="percentile", random_state=2
    ).confidence_interval
    assert found.value == hit.mean()
    assert (found.low, found.high) == pytest.approx((reference.low, reference.high), abs=0.008)


def test_windows_of_one_patient_stay_together() -> None:
    hit = np.repeat(np.random.default_rng(0).random(20) < 0.5, 50)
    patient = np.repeat(np.arange(20), 50).astype(str)
    alone = np.arange(1000).astype(str)

    def width(groups: np.ndarray) -> float:
        found = patient_bootstrap(
            groups, lambda rows: {"mean": hit[rows].mean()}, n_draws=400, seed=0
        )["mean"]
        return found.high - found.low

    assert width(patient) > 4 * width(alone)
