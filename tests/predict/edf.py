"""Write EDF files as the standard lays them out (Kemp et al. 1992); wfdb reads them only."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np


def write_edf(path: Path, x_mv: np.ndarray, fs_hz: int, leads: Sequence[str]) -> None:
    """Write (lead, sample) in mV, whole seconds only."""
    n_leads, n_samples = x_mv.shape
    seconds = n_samples // fs_hz

    def field(value: object, width: int) -> bytes:
        return str(value).encode("ascii").ljust(width)[:width]

    fixed = (
        (0, 8), ("X X X X", 80), ("Startdate 01-JAN-2020 X X X", 80), ("01.01.20", 8),
        ("00.00.00", 8), (256 * (n_leads + 1), 8), ("", 44), (seconds, 8), (1, 8), (n_leads, 4),
    )  # fmt: skip
    per_lead = (
        ("", 80), ("mV", 8), (-5, 8), (5, 8), (-32768, 8), (32767, 8), ("", 80), (fs_hz, 8),
        ("", 32),
    )  # fmt: skip
    header = b"".join(field(value, width) for value, width in fixed)
    header += b"".join(field(lead, 16) for lead in leads)
    header += b"".join(field(value, width) * n_leads for value, width in per_lead)
    counts = np.round((x_mv + 5) / 10 * 65535 - 32768).astype("<i2")
    body = b"".join(
        counts[lead, second * fs_hz : (second + 1) * fs_hz].tobytes()
        for second in range(seconds)
        for lead in range(n_leads)
    )
    path.write_bytes(header + body)
