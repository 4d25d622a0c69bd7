from __future__ import annotations

import pytest

from ecgexp.types import SignalSpec

GUIDE = SignalSpec(fs_hz=100.0, leads=("II",), n_samples=800, labels=("SR", "SB", "AFIB", "GSVT"))
ONE_LEAD = SignalSpec(fs_hz=250.0, leads=("MLII",), n_samples=256, labels=("N", "S", "V"))
TWELVE_LEADS = SignalSpec(
    fs_hz=500.0,
    leads=("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6"),
    n_samples=1000,
    labels=("a", "b", "c", "d", "e"),
)
IMAGE = SignalSpec(
    fs_hz=180.0, leads=("MLII",), n_samples=100, labels=("N", "L", "R", "V"), n_rows=100
)
TWO_LEAD_IMAGE = SignalSpec(
    fs_hz=50.0, leads=("I", "II"), n_samples=57, labels=("a", "b", "c"), n_rows=40
)


@pytest.fixture
def guide_spec() -> SignalSpec:
    return GUIDE


@pytest.fixture(params=[ONE_LEAD, TWELVE_LEADS], ids=["1x256", "12x1000"])
def spec(request: pytest.FixtureRequest) -> SignalSpec:
    return request.param
