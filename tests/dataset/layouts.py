"""Small data sets in their published layouts, with signals that tests can compute again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import scipy.io

LIMB_AND_CHEST = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")
MLII17 = (
    *("NSR", "APB", "AFL", "AFIB", "SVTA", "WPW", "PVC", "Bigeminy", "Trigeminy", "VT", "IVR"),
    *("VFL", "Fusion", "LBBBB", "RBBBB", "SDHB", "PR"),
)


def write_record(
    folder: Path,
    name: str,
    leads: Sequence[str],
    counts: np.ndarray,
    *,
    fs: int,
    comments: Sequence[str] = (),
    checksums: Sequence[int] | None = None,
    extension: str = "mat",
) -> None:
    """Write counts (lead, sample) in format 16, as PhysioNet does: in MATLAB 4, or plain."""
    folder.mkdir(parents=True, exist_ok=True)
    counts = counts.astype("<i2")
    path = folder / f"{name}.{extension}"
    if extension == "mat":
        scipy.io.savemat(path, {"val": counts}, format="4")
    else:
        path.write_bytes(counts.T.tobytes())
    storage = "16+24" if extension == "mat" else "16"
    sums = checksums or [int(row.sum(dtype=np.int64)) & 0xFFFF for row in counts]
    lines = [f"{name} {len(leads)} {fs} {counts.shape[1]} 05:05:15 1/05/2000 "]
    lines += [
        f"{path.name} {storage} 1000/mV 16 0 {row[0]} {total} 0 {lead} "
        for lead, row, total in zip(leads, counts, sums, strict=True)
    ]
    lines += [f"#{comment}" for comment in comments]
    (folder / f"{name}.hea").write_text("\n".join(lines) + "\n")


def twelve_leads(seed: int, n_samples: int) -> np.ndarray:
    """Return counts (12, sample) in which the limb leads add up."""
    rng = np.random.default_rng(seed)
    one, three = 2 * rng.integers(-400, 400, (2, n_samples))
    two = one + three
    limb = [one, two, three, -(one + two) // 2, (one - three) // 2, (two + three) // 2]
    return np.stack([*limb, *rng.integers(-900, 900, (6, n_samples))])


def cinc2017_counts(number: int) -> np.ndarray:
    """Return counts (1, sample) of 5 to 9 s at 300 Hz."""
    rng = np.random.default_rng(number)
    return rng.integers(-900, 900, (1, 1500 + 300 * (number % 5)))


def write_cinc2017(folder: Path, labels: Mapping[str, str], reference: Path) -> None:
    """Write records A00001 and so on beside each other."""
    for name in labels:
        counts = cinc2017_counts(int(name[1:]))
        write_record(folder, name, ("ECG",), counts, fs=300, checksums=[0])
    reference.write_text("".join(f"{name},{label}\n" for name, label in labels.items()))


def write_mlii17(folder: Path, per_class: int) -> None:
    """Write `Dataset/<n> <class>/<record>m (<i>).mat`, three patients in turn per class."""
    for number, label in enumerate(MLII17, start=1):
        inside = folder / "Dataset" / f"{number} {label}"
        inside.mkdir(parents=True)
        for i in range(per_class):
            val = np.random.default_rng((number, i)).integers(900, 1200, (1, 3600))
            record = 100 + (number + i) % 3 if number < 6 else 200 + number
            scipy.io.savemat(inside / f"{record}m ({i}).mat", {"val": val.astype("<i2")})


def write_ptbxl(folder: Path, codes: Sequence[str], *, rate: int = 100) -> None:
    """Write recordings 1, 2, ...; the official fold is id % 10 + 1, two to a patient."""
    kind = "lr" if rate == 100 else "hr"
    headings = ["ecg_id", "patient_id", "report", "scp_codes", "strat_fold", "filename_lr"]
    rows = []
    leads = [lead.upper() for lead in LIMB_AND_CHEST]
    for ecg_id, code in enumerate(codes, start=1):
        name = f"{ecg_id:05d}_{kind}"
        inside = folder / f"records{rate}" / "00000"
        counts = twelve_leads(ecg_id, 10 * rate)
        write_record(inside, name, leads, counts, fs=rate, extension="dat")
        patient, fold = f"{1000 + ecg_id % 40}.0", ecg_id % 10 + 1
        path = f"records{rate}/00000/{name}"
        rows.append(f'{ecg_id},{patient},"a, report","{code}",{fold},{path}')
    (folder / "ptbxl_database.csv").write_text("\n".join([",".join(headings), *rows]) + "\n")


def write_lsad(folder: Path, codes: Sequence[str], *, space: str = "") -> None:
    """Write records JS00001 and so on below WFDBRecords/01/010."""
    for number, code in enumerate(codes, start=1):
        write_record(
            folder / "WFDBRecords" / "01" / f"{10 + number // 30:03d}",
            f"JS{number:05d}",
            LIMB_AND_CHEST,
            twelve_leads(number, 5000),
            fs=500,
            comments=[f"{space}Age: 47", f"{space}Dx: {code}", f"{space}Rx: Unknown"],
        )
