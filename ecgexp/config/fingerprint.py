"""Hash the part of a configuration that can change a result."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import Any

NOT_SCIENCE = frozenset({"name", "paths", "tracking", "resume", "format", "force"})
# Groups that come after training and cannot change the float network.
NOT_FIT = NOT_SCIENCE | {"pruning", "quantization", "target", "deploy"}


def fingerprint(config: dict[str, Any]) -> str:
    """Return 16 hex digits that are the same for the same experiment.

    Names, folders, the tracking store and the output format do not count; every other leaf does.

    Args:
        config: Plain containers with interpolations unresolved, so that folders do not leak in.
    """
    return _hash({key: value for key, value in config.items() if key not in NOT_SCIENCE})


def fit_fingerprint(config: dict[str, Any]) -> str:
    """Return 16 hex digits that are the same for experiments that train the same float network.

    Args:
        config: Plain containers of one composed configuration.
    """
    return _hash({key: value for key, value in config.items() if key not in NOT_FIT})


def sweep_fingerprint(fingerprints: Iterable[str]) -> str:
    """Return 16 hex digits that are the same for sweeps over the same set of experiments."""
    return _hash(sorted(set(fingerprints)))


def _hash(content: Any) -> str:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
