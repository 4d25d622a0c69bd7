"""Conditions of `ecgexp select`: read them, test a run, say them in MLflow's filter language."""

from __future__ import annotations

import operator
import re
from dataclasses import dataclass

from ecgexp.errors import ConfigError
from ecgexp.selection.figures import figure, full_name, short_names
from ecgexp.tracking.found import Found

UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3, "b": 1.0, "kib": 1024.0, "mib": 1024.0**2, "%": 0.01}
_SIGNS = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "=": operator.eq,
    "!=": operator.ne,
}
_COMPARISON = re.compile(
    r"^\s*(?P<name>[A-Za-z][\w/.-]*)\s*(?P<sign><=|>=|!=|==|=|<|>)\s*"
    r"(?:(?P<number>[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*"
    r"(?P<unit>us|ms|s|[kKmM]i[bB]|[bB]|%)?|(?P<word>\w[\w./-]*))\s*$"
)
FINISHED = "attributes.status = 'FINISHED'"


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """One comparison of a condition.

    Attributes:
        name: Full name of a metric, tag or parameter.
        sign: `<`, `<=`, `>`, `>=`, `=` or `!=`.
        value: A number for metrics, a word for tags and parameters.
    """

    name: str
    sign: str
    value: float | str

    def holds(self, run: Found) -> bool:
        """Whether a run meets it; a run without the figure, or with not-a-number, does not."""
        found = figure(run, self.name)
        if found is None or found != found:
            return False
        if isinstance(self.value, float) != isinstance(found, float):
            return False
        return bool(_SIGNS[self.sign](found, self.value))

    def __str__(self) -> str:
        if isinstance(self.value, float):
            return f"metrics.`{self.name}` {self.sign} {self.value!r}"
        kind = "tags" if self.name.startswith(("ecgexp.", "mlflow.")) else "params"
        return f"{kind}.`{self.name}` {self.sign} '{self.value}'"


# Alternatives of `or`, each a conjunction of comparisons.
Condition = tuple[tuple[Comparison, ...], ...]


def read_condition(text: str, target: str) -> Condition:
    """Read a condition.

    Args:
        text: Comparisons joined by `and` and `or`; empty for every run.
        target: Target that `instructions`, `latency`, `flash` and `ram` mean.

    Raises:
        ConfigError: A comparison cannot be read, or uses a name that nothing can have.
    """
    if not text.strip():
        return ((),)
    alternatives = re.split(r"\s+or\s+", text.strip(), flags=re.IGNORECASE)
    return tuple(
        tuple(
            _comparison(piece, target)
            for piece in re.split(r"\s+and\s+", alternative, flags=re.IGNORECASE)
        )
        for alternative in alternatives
    )


def _comparison(piece: str, target: str) -> Comparison:
    match = _COMPARISON.match(piece)
    if match is None:
        raise ConfigError(
            f"condition {piece.strip()!r}: write NAME SIGN NUMBER [unit], for example "
            "'test/f1_macro > 0.8', or NAME = WORD, joined by and / or, without brackets"
        )
    name = full_name(match["name"], target)
    sign = "=" if match["sign"] == "==" else match["sign"]
    if match["word"]:
        if "/" in name or sign not in ("=", "!="):
            raise ConfigError(
                f"condition {piece.strip()!r}: write NAME SIGN NUMBER [unit] for a metric; only "
                "tags and parameters are compared with a word, by = or !="
            )
        return Comparison(name=name, sign=sign, value=match["word"])
    if "/" not in name:
        raise ConfigError(
            f"condition {piece.strip()!r}: unknown name {name!r}; use a full metric name or "
            f"one of {', '.join(short_names(target))}"
        )
    value = float(match["number"]) * UNITS[(match["unit"] or "b").lower()]
    return Comparison(name=name, sign=sign, value=value)


def meets(run: Found, condition: Condition) -> bool:
    """Whether a run meets at least one alternative."""
    return any(all(part.holds(run) for part in alternative) for alternative in condition)


def mlflow_filters(condition: Condition) -> list[str]:
    """Return MLflow filters, one per alternative of `or`, which its language lacks."""
    return [" and ".join([FINISHED, *map(str, alternative)]) for alternative in condition]
