"""From what a data set says of a recording to its class, or its classes."""

from __future__ import annotations

import difflib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ecgexp.dataset.labels import LEFT_OUT, LabelMap
from ecgexp.errors import ConfigError

log = logging.getLogger(__name__)

# One name for each rhythm, whatever the data set calls it.
RHYTHMS = (
    *("sr", "sbrad", "stach", "sarrh", "svarr", "svt", "vtach", "afib", "aflut", "vfib", "vflut"),
    *("bigu", "trigu", "pace", "noise"),
)


class RecordTask(Protocol):
    """What a recording is called."""

    @property
    def labels(self) -> Sequence[str]:
        """The classes in order."""
        ...

    def describe(self) -> dict[str, Any]:
        """Return every parameter as plain containers."""
        ...

    def encode(self, records: Sequence[str], found: Sequence[Sequence[str]]) -> NDArray[np.int64]:
        """Return the class of each record, `LEFT_OUT` where it has none or several.

        Or, where a record can have several, a 0 or 1 for each class (record, class).
        """
        ...


@dataclass(frozen=True, kw_only=True)
class LabelTask:
    """Classes made of the data set's own labels.

    Attributes:
        classes: Class name to labels of the data set.
        ignored: Labels that say nothing about the class.
        labels: The classes to keep, in order.
    """

    classes: Mapping[str, Sequence[str | int]]
    ignored: Sequence[str | int]
    labels: Sequence[str]

    def __post_init__(self) -> None:
        """Refuse a map that contradicts itself.

        Raises:
            ConfigError: Names the key and the label or class.
        """
        self._map()

    def describe(self) -> dict[str, Any]:
        """Return every parameter as plain containers."""
        return {"kind": "label", **asdict(self)}

    def encode(self, records: Sequence[str], found: Sequence[Sequence[str]]) -> NDArray[np.int64]:
        """Return the class of each record.

        Raises:
            DataError: The map does not know a label.
        """
        return _one_class(self._map(), records, found)

    def _map(self) -> LabelMap:
        return LabelMap(
            key="dataset.tasks",
            classes={name: _as_text(members) for name, members in self.classes.items()},
            ignored=_as_text(self.ignored),
            labels=self.labels,
        )


@dataclass(frozen=True, kw_only=True)
class LabelSetTask(LabelTask):
    """Classes made of the data set's own labels, as many of them at once as a recording shows.

    Attributes:
        classes: Class name to labels of the data set.
        ignored: Labels that say nothing about the classes.
        labels: The classes to keep, in order; a recording of none of them is left out.
    """

    def describe(self) -> dict[str, Any]:
        """Return every parameter as plain containers."""
        return {**super().describe(), "kind": "label_set"}

    def encode(self, records: Sequence[str], found: Sequence[Sequence[str]]) -> NDArray[np.int64]:
        """Return a 0 or 1 for each record and class (record, class).

        Raises:
            DataError: The map does not know a label.
        """
        label_map = self._map()
        rows = np.zeros((len(records), len(self.labels)), dtype=np.int64)
        for row, record, labels in zip(rows, records, found, strict=True):
            encoded = label_map.encode(labels, None, record=record)
            row[encoded[encoded != LEFT_OUT]] = 1
        n_none = int((rows.sum(axis=1) == 0).sum())
        if n_none:
            log.info(
                "%d of %d recordings left out: they show none of the classes %s",
                *(n_none, len(records), ", ".join(self.labels)),
            )
        return rows


@dataclass(frozen=True, kw_only=True)
class RhythmNameTask:
    """Classes made of rhythms, which have one name each; the data set's codes stand for them.

    Attributes:
        codes: Rhythm name, one of `RHYTHMS`, to codes of the data set.
        ignored: Codes that name no rhythm.
        classes: Class name to rhythm names.
        labels: The classes to keep, in order.
    """

    codes: Mapping[str, Sequence[str | int]]
    ignored: Sequence[str | int]
    classes: Mapping[str, Sequence[str]]
    labels: Sequence[str]

    def __post_init__(self) -> None:
        """Refuse a name that is no rhythm, and a map that contradicts itself.

        Raises:
            ConfigError: Names the key and the rhythm, code or class.
        """
        named = [("codes", name) for name in self.codes]
        named += [(f"classes.{label}", name) for label, of in self.classes.items() for name in of]
        for key, name in named:
            if name not in RHYTHMS:
                close = difflib.get_close_matches(name, RHYTHMS, n=1, cutoff=0.5)
                hint = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(RHYTHMS)}"
                raise ConfigError(f"dataset.tasks: {key}: {name!r} is no rhythm; {hint}")
        LabelMap(key="dataset.tasks.codes", **self._code_owner(), labels=tuple(self.codes)[:2])
        self._map()

    def describe(self) -> dict[str, Any]:
        """Return every parameter as plain containers."""
        return {"kind": "rhythm_name", **asdict(self)}

    def encode(self, records: Sequence[str], found: Sequence[Sequence[str]]) -> NDArray[np.int64]:
        """Return the class of each record.

        Raises:
            DataError: Neither a rhythm nor the ignored codes know a code.
        """
        return _one_class(self._map(), records, found)

    def _code_owner(self) -> dict[str, Any]:
        return {
            "classes": {name: _as_text(codes) for name, codes in self.codes.items()},
            "ignored": _as_text(self.ignored),
        }

    def _map(self) -> LabelMap:
        used = {name for names in self.classes.values() for name in names}
        rest = [code for name, codes in self.codes.items() if name not in used for code in codes]
        return LabelMap(
            key="dataset.tasks",
            classes={
                label: [code for name in names for code in _as_text(self.codes.get(name, ()))]
                for label, names in self.classes.items()
            },
            ignored=_as_text([*self.ignored, *rest]),
            labels=self.labels,
        )


def _one_class(
    label_map: LabelMap, records: Sequence[str], found: Sequence[Sequence[str]]
) -> NDArray[np.int64]:
    y = np.full(len(records), LEFT_OUT, dtype=np.int64)
    n_none = n_several = 0
    for index, (record, labels) in enumerate(zip(records, found, strict=True)):
        encoded = set(label_map.encode(labels, None, record=record).tolist()) - {LEFT_OUT}
        if len(encoded) == 1:
            y[index] = encoded.pop()
        n_none += not encoded and y[index] == LEFT_OUT
        n_several += len(encoded) > 1
    if n_none or n_several:
        log.info(
            "%d of %d recordings left out: %d show none of the classes %s, %d show several",
            *(n_none + n_several, len(records), n_none),
            *(", ".join(label_map.labels), n_several),
        )
    return y


def _as_text(items: Sequence[str | int]) -> list[str]:
    return [str(item) for item in items]  # YAML reads a code as a number
