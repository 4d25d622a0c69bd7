"""What each layer alone loses when its weights are rounded, and which widths fit a budget."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray

from ecgexp.errors import ConfigError
from ecgexp.quantization.qat.network import LayerBits, QuantizedNetwork

_SILENCE_DB = 120.0
"""Written for a ratio without noise."""


@dataclass(frozen=True, kw_only=True)
class Sensitivity:
    """One layer at one width, everything else in float.

    Attributes:
        layer: Name of its weight.
        bits: Width.
        n_values: Number of weights.
        weight_sqnr_db: Power of the weights over that of their rounding error, in dB.
        logits_sqnr_db: Power of the logits over that of what the rounding does to them, in dB.
        error: Mean squared change of the logits, in units of their variance.
        accuracy: On the windows that were measured.
    """

    layer: str
    bits: int
    n_values: int
    weight_sqnr_db: float
    logits_sqnr_db: float
    error: float
    accuracy: float


def measure(
    quantized: onnx.ModelProto,
    source: onnx.ModelProto,
    x: NDArray[np.float32],
    y: NDArray[np.int64],
    widths: Sequence[int],
    *,
    answers: Callable[[NDArray[np.float32]], NDArray[np.int64]],
) -> list[Sensitivity]:
    """Round one layer at a time.

    Args:
        quantized: The network in QDQ form.
        source: The float network that it was made from.
        x: Windows (window, ...), of a split that decides nothing else.
        y: Their classes.
        widths: Bits to try.
        answers: Makes classes like `y` of logits (window, class).

    Returns:
        One row per layer and width, in the order of the graph.
    """
    windows = torch.from_numpy(np.array(x))
    with torch.inference_mode():
        plain = QuantizedNetwork(quantized, source, (), activations=False, only=frozenset())
        expected = plain(windows)
        rows = []
        for bits in widths:
            rule = (LayerBits(match="*", bits=bits),)
            for name, weight in plain.weights.items():
                network = QuantizedNetwork(
                    quantized, source, rule, activations=False, only=frozenset([name])
                )
                logits = network(windows)
                power = float(torch.square(logits - expected).mean())
                exact = torch.from_numpy(np.array(network.float_weight(name)))
                noise = float(torch.square(network.rounded_weight(name) - exact).mean())
                rows.append(
                    Sensitivity(
                        layer=name,
                        bits=bits,
                        n_values=weight.n_values,
                        weight_sqnr_db=_decibel(float(torch.square(exact).mean()), noise),
                        logits_sqnr_db=_decibel(float(torch.square(expected).mean()), power),
                        error=power / max(float(expected.var()), 1e-12),
                        accuracy=_accuracy(answers(logits.numpy()), y),
                    )
                )
    order = {name: index for index, name in enumerate(plain.weights)}
    return sorted(rows, key=lambda row: (order[row.layer], -row.bits))


def _accuracy(said: NDArray[np.int64], y: NDArray[np.int64]) -> float:
    return float((said == y).reshape(len(y), -1).all(axis=1).mean())


def _decibel(signal: float, noise: float) -> float:
    if noise <= 0:
        return _SILENCE_DB
    return min(_SILENCE_DB, 10 * float(np.log10(max(signal, 1e-30) / noise)))


def assign(
    rows: Sequence[Sensitivity], budget_bytes: int, *, spent_bytes: float
) -> tuple[LayerBits, ...]:
    """Choose the widths that fit a budget and cost least.

    Starts with the widest of every layer and narrows, again and again, the one whose logits change
    least for each byte that it saves.

    Args:
        rows: From `measure`, at least one width per layer.
        budget_bytes: Largest sum of weights x bits / 8.
        spent_bytes: What layers of given widths take of it already.

    Raises:
        ConfigError: Not even the narrowest widths fit.
    """
    table: dict[str, dict[int, Sensitivity]] = {}
    for row in rows:
        table.setdefault(row.layer, {})[row.bits] = row
    smallest = spent_bytes
    smallest += sum(min(w) * next(iter(w.values())).n_values for w in table.values()) / 8
    if smallest > budget_bytes:
        raise ConfigError(
            f"quantization.budget_bytes={budget_bytes}: with the fewest bits of "
            f"quantization.widths the weights take {smallest:,.0f} bytes; raise the budget, allow "
            "fewer bits or prune channels"
        )
    chosen = {layer: max(widths) for layer, widths in table.items()}

    def size() -> float:
        free = sum(bits * table[layer][bits].n_values for layer, bits in chosen.items())
        return spent_bytes + free / 8

    while size() > budget_bytes:
        best = min(
            _step(table[layer], bits, narrower)
            for layer, bits in chosen.items()
            for narrower in table[layer]
            if narrower < bits
        )
        chosen[best[1]] = best[2]
    return tuple(LayerBits(match=layer, bits=bits) for layer, bits in chosen.items())


def _step(widths: dict[int, Sensitivity], bits: int, narrower: int) -> tuple[float, str, int]:
    """Return what narrowing a layer costs for each byte saved, the layer and its new width."""
    wide, narrow = widths[bits], widths[narrower]
    saved = (bits - narrower) * wide.n_values / 8
    return (narrow.error - wide.error) / saved, wide.layer, narrower


def write_table(rows: Sequence[Sensitivity], path: Path) -> Path:
    """Write the rows as CSV."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Sensitivity)])
        writer.writeheader()
        writer.writerows(asdict(row) for row in rows)
    return path
