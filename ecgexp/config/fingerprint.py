"""Hash the part of a configuration that can change a result."""

from __future__ import annotations

import hashlib
import json
from typing import Any

NOT_SCIENCE = frozenset({"name", "paths", "tracking", "resume", "format"})


def fingerprint(config: dict[str, Any]) -> str:
    """Return 16 hex digits that are the same for the same experiment.

    Names, folders, the tracking store and the output format do not count; every other leaf does.

    Args:
        config: Plain containers with interpolations unresolved, so that folders do not leak in.
    """
    science = {key: value for key, value in config.items() if key not in NOT_SCIENCE}
    text = json.dumps(science, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
