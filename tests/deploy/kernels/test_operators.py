"""Dense, pooling, add, mul and tables on this machine, against ONNX Runtime."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from kernel_harness import run_host
from operators import Case, binary_cases, dense_cases, mean_cases, pool_cases, table_cases

_QUICK = settings(
    max_examples=12, deadline=None, database=None, suppress_health_check=list(HealthCheck)
)
# 500 with `make property`, which loads the profile of that name.
_LONG = settings(_QUICK, max_examples=settings().max_examples)

_KINDS = {
    "dense": dense_cases(),
    "max": pool_cases("max"),
    "avg": pool_cases("avg"),
    "mean": mean_cases(),
    "add": binary_cases("add"),
    "mul": binary_cases("mul"),
    "table": table_cases(),
}


def _check(case: Case) -> None:
    out = run_host(case.kernel("generic"), *case.inputs, size=case.expected.size, dtype="int8")
    np.testing.assert_array_equal(out.reshape(case.expected.shape), case.expected, case.label)


@pytest.mark.parametrize("kind", _KINDS)
def test_operator_equals_onnxruntime(kind: str) -> None:
    _QUICK(given(_KINDS[kind])(_check))()


@pytest.mark.slow
@pytest.mark.parametrize("kind", _KINDS)
def test_operator_equals_onnxruntime_over_many_shapes(kind: str) -> None:
    _LONG(given(_KINDS[kind])(_check))()
