"""Tag names and table columns: part of the interface, so in one place and free of imports."""

from __future__ import annotations

STAGE_TAG = "ecgexp.stage."
FINGERPRINT_TAG = "ecgexp.fingerprint"
DEPLOYABLE_TAG = "ecgexp.deployable"
REASON_TAG = "ecgexp.deployable_reason"
FIDELITY_TAG = "ecgexp.fidelity"
SWEEP_TAG = "ecgexp.sweep_id"
ERROR_TAG = "ecgexp.error"
GIT_SHA_TAG = "ecgexp.git_sha"
GIT_DIRTY_TAG = "ecgexp.git_dirty"
CAVEAT_TAG = "ecgexp.caveat"
OVERRIDES_TAG = "ecgexp.overrides"
# Only on runs that hold others: "sweep" or "study".
KIND_TAG = "ecgexp.kind"

TEST_F1 = "test/f1_macro"
TEST_ACCURACY = "test/accuracy"
INT8_ACCURACY = "quantization/int8_accuracy"
INT8_DROP = "quantization/accuracy_drop"


def deploy_metric(target: str, name: str) -> str:
    """Return the full name of a device figure, `deploy/<target>/<name>`."""
    return f"deploy/{target}/{name}"
