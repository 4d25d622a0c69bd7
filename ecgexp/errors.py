"""The errors that ecgexp raises on purpose; the command line prints them as one message."""

from __future__ import annotations


class EcgexpError(Exception):
    """Base of every error that is the answer to bad input or a missing tool.

    The message names the config path or file, the value found, and the remedy.
    """

    exit_code = 2


class ConfigError(EcgexpError):
    """A configuration key, value or combination cannot be used."""


class DataError(EcgexpError):
    """A recording, annotation or split cannot be used."""


class ExportError(EcgexpError):
    """A trained network cannot be exported, quantized or read back."""


class BuildError(EcgexpError):
    """A network cannot be compiled or its firmware cannot be built for the target."""


class RunnerError(EcgexpError):
    """A firmware image could not be run to its end on its target."""


class TrackingError(EcgexpError):
    """A run or the store that holds it cannot be found or used."""


class StoppedEarly(EcgexpError):
    """A trial of a search that need not go on; its run is KILLED, nothing is wrong."""


class PromotionError(EcgexpError):
    """A run's model may not go on a device."""
