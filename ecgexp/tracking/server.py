"""MLflow's own server on our store."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from ecgexp.errors import TrackingError

START_TIMEOUT_S = 90.0


def server_command(config: dict[str, Any]) -> list[str]:
    """Return the argument list that serves the store.

    Raises:
        TrackingError: The port is taken.
    """
    home = Path(config["paths"]["home"]).expanduser().resolve()
    with socket.socket() as probe:
        if probe.connect_ex((config["host"], config["port"])) == 0:
            raise TrackingError(
                f"port={config['port']}: something answers there already; choose another port=N"
            )
    return [
        sys.executable, "-m", "mlflow", "server",
        "--backend-store-uri", f"sqlite:///{home / 'mlflow.db'}",
        "--default-artifact-root", (home / "artifacts").as_uri(),
        "--host", str(config["host"]),
        "--port", str(config["port"]),
        "--workers", "1",
    ]  # fmt: skip


def server_environment() -> dict[str, str]:
    """Return the environment for the server: without the eight workers of MLflow's LLM judges."""
    return {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}


def wait_until_up(server: subprocess.Popen[bytes], config: dict[str, Any]) -> None:
    """Return when the server accepts connections.

    Raises:
        TrackingError: It ended, or did not answer in time.
    """
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise TrackingError(f"the MLflow server ended with exit code {server.returncode}")
        with socket.socket() as probe:
            if probe.connect_ex((config["host"], config["port"])) == 0:
                return
        time.sleep(0.2)
    raise TrackingError(f"the MLflow server did not answer within {START_TIMEOUT_S:.0f} s")
