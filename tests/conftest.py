"""What one test sets for its process, the next one does not find."""

from __future__ import annotations

import logging
import signal
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def _process_state() -> Iterator[None]:
    """Put back signal handlers and the logger that `ecgexp.__main__.main` sets up."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    logger = logging.getLogger("ecgexp")
    before = (logger.handlers, logger.level, logger.propagate)
    yield
    logger.handlers, logger.level, logger.propagate = before
    for number, handler in handlers.items():
        signal.signal(number, handler)
