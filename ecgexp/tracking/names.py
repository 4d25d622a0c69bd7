"""Tag names and table columns: part of the interface, so in one place and free of imports."""

from __future__ import annotations

STAGE_TAG = "ecgexp.stage."
FINGERPRINT_TAG = "ecgexp.fingerprint"
DEPLOYABLE_TAG = "ecgexp.deployable"
REASON_TAG = "ecgexp.deployable_reason"
FIDELITY_TAG = "ecgexp.fidelity"
# Hash of the jobs of a sweep, so that the same command finds its parent run again.
SWEEP_TAG = "ecgexp.sweep_id"
# One start of a sweep.
SESSION_TAG = "ecgexp.session"
# MLflow's own: the run of the sweep or study that a run belongs to.
PARENT_TAG = "mlflow.parentRunId"
# Only on runs that hold others: "sweep" or "study".
KIND_TAG = "ecgexp.kind"
# Hashes of what training depends on, and the run whose weights were taken over because of them.
FIT_FINGERPRINT_TAG = "ecgexp.fit_fingerprint"
DATA_TAG = "ecgexp.data_fingerprint"
REUSED_TAG = "ecgexp.fit_reused_from"
# The process that works on a run.
HOST_TAG = "ecgexp.host"
PID_TAG = "ecgexp.pid"
PROCESS_START_TAG = "ecgexp.process_start"
HEARTBEAT_TAG = "ecgexp.heartbeat"
ERROR_TAG = "ecgexp.error"
GIT_SHA_TAG = "ecgexp.git_sha"
GIT_DIRTY_TAG = "ecgexp.git_dirty"
CAVEAT_TAG = "ecgexp.caveat"
OVERRIDES_TAG = "ecgexp.overrides"

TEST_F1 = "test/f1_macro"
TEST_ACCURACY = "test/accuracy"
INT8_ACCURACY = "quantization/int8_accuracy"
INT8_DROP = "quantization/accuracy_drop"
# Of the network that is deployed, whatever quantization made of it: the same names for all.
MODEL_BYTES = "model/bytes"
MODEL_ACCURACY = "model/accuracy"
MODEL_F1 = "model/f1_macro"


def deployable_tag(target: str) -> str:
    """Return the tag that keeps the last verdict of one target: `true`, or the reasons."""
    return f"{DEPLOYABLE_TAG}.{target}"


def deploy_metric(target: str, name: str) -> str:
    """Return the full name of a device figure, `deploy/<target>/<name>`."""
    return f"deploy/{target}/{name}"
