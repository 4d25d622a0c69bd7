"""Keep Lightning's advice and banners out of a run's output, for the time of one call."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

_LOGGERS = ("pytorch_lightning", "lightning_fabric")
_MODULES = r"(pytorch_lightning|lightning_fabric|lightning_utilities)(\..*)?$"


@contextmanager
def quiet_lightning() -> Iterator[None]:
    """Silence Lightning's INFO lines and warnings; errors and other libraries still speak."""
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=_MODULES)
            warnings.filterwarnings("ignore", message=r".*does not have many workers.*")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
