"""`make bench`: print each figure beside its bound; exit 1 when one is missed."""

from __future__ import annotations

import sys

from tests.bench import deploy_time, preparation, scalograms, search, startup, store, train_step
from tests.bench.figure import Figure

BENCHES = (
    train_step.measure,
    preparation.measure,
    scalograms.measure,
    startup.measure,
    store.measure,
    deploy_time.measure,
    search.measure,
)


def main() -> int:
    figures: list[Figure] = []
    for measure in BENCHES:
        for figure in measure():
            figures.append(figure)
            sys.stdout.write(f"{figure}\n")
            sys.stdout.flush()
    return 0 if all(figure.holds for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
