"""The Pareto front against its definition."""

import random
import time

from ecgexp.selection.front import pareto_front


def test_equal_rows_stay_and_missing_figures_never_do() -> None:
    costs = [(1.0, 5.0), (2.0, 2.0), (3.0, 3.0), None, (1.0, 5.0)]
    assert pareto_front(costs) == [True, True, False, False, True]


def test_against_the_definition() -> None:
    source = random.Random(0)
    for _ in range(30):
        rows = [tuple(float(source.randint(0, 5)) for _ in range(3)) for _ in range(40)]
        expected = [
            not any(other != row and all(a <= b for a, b in zip(other, row, strict=True))
                    for other in rows)
            for row in rows
        ]  # fmt: skip
        assert pareto_front(rows) == expected


def test_a_front_of_a_thousand_rows_is_quick() -> None:
    rows = [(float(i), float(1000 - i), 0.0) for i in range(1000)]
    start = time.perf_counter()
    assert all(pareto_front(rows))
    assert time.perf_counter() - start < 2.0
