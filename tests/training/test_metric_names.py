from __future__ import annotations

import subprocess
import sys

from ecgexp.training import metric_names


def test_names_that_other_parts_and_people_rely_on() -> None:
    assert metric_names.TEST_F1_MACRO == "test/f1_macro"
    assert metric_names.of_split("test", {"f1_AFIB": 0.5}) == {"test/f1_AFIB": 0.5}
    known = metric_names.validation_names(("N", "V"))
    assert {"val/loss", "val/f1_macro", "val/auroc", "val/recall_V", "val/precision_N"} <= set(
        known
    )


def test_names_can_be_had_without_torch() -> None:
    code = "import sys, ecgexp.training.metric_names; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
