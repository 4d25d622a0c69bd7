"""The deploy stage that does nothing and says so."""

from __future__ import annotations

import logging
from pathlib import Path

from ecgexp.errors import ConfigError
from ecgexp.target import Target
from ecgexp.types import Bundle, SignalSpec

log = logging.getLogger(__name__)


class NoDeploy:
    """Leave the bundle as it is.

    Args:
        n_golden: Golden windows that go into the bundle.

    Raises:
        ConfigError: `n_golden` is not positive.
    """

    def __init__(self, *, n_golden: int) -> None:
        if n_golden < 1:
            raise ConfigError(f"deploy.n_golden={n_golden}: write 1 or more")
        self.n_golden = n_golden

    def check(self, target: Target) -> None:
        """Need no tool.

        Args:
            target: Where nothing will run.
        """

    def check_network(self, spec: SignalSpec) -> None:
        """Take any network.

        Args:
            spec: Its input and output.
        """

    def deploy(self, bundle: Bundle, target: Target, folder: Path) -> None:
        """Log that nothing is deployed.

        Args:
            bundle: What could have been deployed.
            target: Where to.
            folder: Stays untouched.
        """
        log.info("deploy=none: %s is not compiled for %s", bundle.name, target.name)
