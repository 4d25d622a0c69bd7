"""What one test sets for its process, the next one does not find."""

from __future__ import annotations

import logging
import signal
from collections.abc import Iterator

import pytest
from hypothesis import settings

# Each case of a kernel is compiled: a sample by default, `make property` for all of them.
settings.register_profile("sample", max_examples=60)
settings.register_profile("property", max_examples=500)
settings.load_profile("sample")


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
