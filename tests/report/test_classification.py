"""The text report against counts made by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ecgexp.report.classification import classification_report


def test_the_report_names_every_class_and_the_speed(tmp_path: Path) -> None:
    y = np.array([0, 0, 0, 0, 1, 1, 2, 2])
    predicted = np.array([0, 0, 0, 1, 1, 1, 2, 0])
    path = classification_report(
        ["N", "V", "A", "never"], y, predicted, tmp_path / "report.txt", windows_per_s=1234.4
    )
    rows = {row.split()[0]: row.split()[1:] for row in path.read_text().splitlines() if row.strip()}
    assert rows["N"] == ["0.7500", "0.7500", "0.7500", "4"]
    assert rows["V"] == ["0.6667", "1.0000", "0.8000", "2"]
    assert rows["A"] == ["1.0000", "0.5000", "0.6667", "2"]
    assert rows["never"] == ["0.0000", "0.0000", "0.0000", "0"]
    assert rows["accuracy"] == ["0.7500", "8"]
    assert rows["1,234"][:3] == ["windows", "per", "second,"]
