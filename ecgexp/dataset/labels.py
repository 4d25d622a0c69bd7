"""From annotation symbols to class numbers; a symbol that nobody thought of is an error."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ecgexp.errors import ConfigError, DataError

LEFT_OUT = -1


@dataclass(frozen=True, kw_only=True)
class LabelMap:
    """Which symbols make which class.

    Attributes:
        key: Config path of the map, for messages.
        classes: Class name to its symbols.
        ignored: Symbols that are known and make no class.
        labels: The classes to keep, in the order of the network's outputs; symbols of a class
            that is not among them are left out.
    """

    key: str
    classes: Mapping[str, Sequence[str]]
    ignored: Sequence[str]
    labels: Sequence[str]

    def __post_init__(self) -> None:
        """Refuse a map that contradicts itself.

        Raises:
            ConfigError: Names the key and the symbol or class.
        """
        owner: dict[str, str] = {}
        for name, symbols in (*self.classes.items(), ("ignored", self.ignored)):
            for symbol in symbols:
                if owner.setdefault(symbol, name) != name:
                    raise ConfigError(
                        f"{self.key}: symbol {symbol!r} is in {owner[symbol]} and in {name}; "
                        "leave it in one"
                    )
        missing = [label for label in self.labels if label not in self.classes]
        if missing or len(set(self.labels)) != len(self.labels) or len(self.labels) < 2:
            raise ConfigError(
                f"{self.key}.labels={list(self.labels)}: needs two or more different classes out "
                f"of {list(self.classes)}"
            )

    def encode(
        self, symbols: Sequence[str], samples: NDArray[np.int64] | None, *, record: str
    ) -> NDArray[np.int64]:
        """Return the class of each symbol, `LEFT_OUT` where it makes none.

        Args:
            symbols: Annotation symbols (annotation,).
            samples: Their places in the record (annotation,), for the message; None when they
                are about the whole record.
            record: Name of the record, for the message.

        Raises:
            DataError: The map does not know a symbol; names the record, the place, the symbol.
        """
        number = dict.fromkeys(self.ignored, LEFT_OUT)
        for name, members in self.classes.items():
            position = list(self.labels).index(name) if name in self.labels else LEFT_OUT
            number.update(dict.fromkeys(members, position))
        for index, symbol in enumerate(symbols):
            if symbol not in number:
                place = "" if samples is None else f", sample {samples[index]}"
                raise DataError(
                    f"record {record}{place}: the label map does not know the label "
                    f"{symbol!r}; add it to a class of {self.key}.classes or to {self.key}.ignored"
                )
        return np.array([number[symbol] for symbol in symbols], dtype=np.int64)


def class_rows(y: NDArray[np.int64], n_classes: int) -> NDArray[np.int64]:
    """Return a 0 or 1 for each window and class (window, class).

    Args:
        y: Classes (window,), or already such rows, of windows with several classes at once.
        n_classes: Number of classes.
    """
    return np.eye(n_classes, dtype=np.int64)[y] if y.ndim == 1 else y
