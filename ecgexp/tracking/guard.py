"""A client whose answers are two: what the server said, or that it cannot be reached."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Any

from ecgexp.errors import TrackingError

# What MLflow makes of a server that is not there, broken, overloaded, or does not let us in.
_NO_ANSWER = {
    "INTERNAL_ERROR",
    "TEMPORARILY_UNAVAILABLE",
    "REQUEST_LIMIT_EXCEEDED",
    "RESOURCE_EXHAUSTED",
    "DEADLINE_EXCEEDED",
}
_NO_ENTRY = {"UNAUTHENTICATED", "CUSTOMER_UNAUTHORIZED", "PERMISSION_DENIED"}
_REASONS = (r"\[Errno -?\d+\] ([^'\")\]]+)", r"(timed out)", r"(too many \d+ error responses)")


class Unreachable(TrackingError):
    """The MLflow server does not answer, or does not let us in."""


class Guard:
    """Passes every call on to a client; no answer becomes `Unreachable`.

    Args:
        client: An `MlflowClient`.
        uri: The server's address, for messages.
    """

    def __init__(self, client: Any, uri: str) -> None:
        self._client = client
        self._uri = uri

    def __getattr__(self, name: str) -> Callable[..., Any]:
        function = getattr(self._client, name)

        @functools.wraps(function)
        def call(*arguments: Any, **named: Any) -> Any:
            from mlflow.exceptions import MlflowException
            from requests import RequestException

            try:
                return function(*arguments, **named)
            except MlflowException as error:
                self._raise_if_silent(error.error_code, str(error.message), error)
                raise
            except RequestException as error:
                status = getattr(error.response, "status_code", 503)
                codes = {401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED"}
                if status in codes or status >= 500:
                    self._raise_if_silent(codes.get(status, "INTERNAL_ERROR"), str(error), error)
                raise

        return call

    def _raise_if_silent(self, code: str, text: str, error: Exception) -> None:
        if code in _NO_ENTRY:
            raise Unreachable(
                f"tracking.uri={self._uri}: the MLflow server does not let us in; set "
                "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN"
            ) from error
        if code in _NO_ANSWER:
            raise Unreachable(
                f"tracking.uri={self._uri}: the MLflow server does not answer ({_short(text)}); "
                "start it, correct tracking.uri or MLFLOW_TRACKING_URI, or keep runs on this "
                "machine with tracking=mlflow_sqlite"
            ) from error


def _short(text: str) -> str:
    matches = (re.search(pattern, text) for pattern in _REASONS)
    return next((match[1] for match in matches if match), text.strip().split("\n")[0][:200])
