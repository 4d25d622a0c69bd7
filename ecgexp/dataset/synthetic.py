"""The embedded data set: simulated 10-s rhythms of patients that do not exist."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ecgexp.dataset.datamodule import EcgDataModule
from ecgexp.dataset.sampling import Sampling
from ecgexp.dataset.simulator import RATE_BPM, simulate
from ecgexp.dataset.source import Identity, Place
from ecgexp.dataset.splits import split_by_fraction
from ecgexp.dataset.units import JudgedBy
from ecgexp.dataset.windows import Plan, tile
from ecgexp.errors import ConfigError
from ecgexp.preprocessing.chain import Chain

SIMULATOR_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class SyntheticSource:
    """Simulated patients, each with one recording of one rhythm, cut into windows.

    Attributes:
        n_patients: Patients over all splits.
        windows_per_patient: Windows of each.
        window_s: Length of a window in seconds.
        fs_hz: Sampling rate of the simulation.
        lead: Name of the simulated lead.
        rhythm_shares: Class name to its share of the patients; also the order of the classes.
        ectopic_share: Largest share of ectopic beats; half of the patients have none.
        noise_gain: Factor on every disturbance.
        val_fraction: Share of the patients for validation.
        test_fraction: Share of the patients for the test.
        generator_seed: Seed of the patients.
        split_seed: Seed of the split.
    """

    n_patients: int
    windows_per_patient: int
    window_s: float
    fs_hz: float
    lead: str
    rhythm_shares: dict[str, float]
    ectopic_share: float
    noise_gain: float
    val_fraction: float
    test_fraction: float
    generator_seed: int
    split_seed: int

    def __post_init__(self) -> None:
        """Refuse parameters that make no sense.

        Raises:
            ConfigError: Names the key, its value and what it needs.
        """
        unknown = sorted(set(self.rhythm_shares) - set(RATE_BPM))
        if unknown:
            raise ConfigError(
                f"dataset.rhythm_shares: {unknown[0]!r} is not a rhythm of the simulator; "
                f"it knows {', '.join(RATE_BPM)}"
            )
        if not self.rhythm_shares or min(self.rhythm_shares.values()) <= 0:
            raise ConfigError("dataset.rhythm_shares: every rhythm needs a positive share")
        fewest = 3 * len(self.rhythm_shares)
        if self.n_patients < fewest or self.windows_per_patient < 1:
            raise ConfigError(
                f"dataset.n_patients={self.n_patients}, "
                f"dataset.windows_per_patient={self.windows_per_patient}: needs at least "
                f"{fewest} patients (one per rhythm and split) with one window each"
            )
        if min(self.window_s, self.fs_hz) <= 0:
            raise ConfigError(
                f"dataset.window_s={self.window_s:g}, dataset.fs_hz={self.fs_hz:g}: "
                "both must be positive"
            )
        if not 0 <= self.ectopic_share <= 0.5 or self.noise_gain < 0:
            raise ConfigError(
                f"dataset.ectopic_share={self.ectopic_share:g} must lie in 0..0.5 and "
                f"dataset.noise_gain={self.noise_gain:g} must not be negative"
            )

    @property
    def name(self) -> str:
        """A word for the cache folder."""
        return "synthetic"

    def places(self) -> tuple[Place, ...]:
        """Return nothing: no file is read."""
        return ()

    def identity(self) -> Identity:
        """Return the parameters: nothing else decides the windows."""
        parameters = {**asdict(self), "rhythm_shares": list(self.rhythm_shares.items())}
        content = {"kind": self.name, "simulator": SIMULATOR_VERSION, **parameters}
        return Identity(content=content, stamp={})

    def plan(self) -> Plan:
        """Cut every recording into windows that follow one another."""
        records = tuple(f"S{patient:04d}" for patient in range(self.n_patients))
        length = round(self.window_s * self.fs_hz)
        starts = tile(self.windows_per_patient * length, length, length)
        rhythm = self._rhythm_of_patient()
        counts = np.zeros((len(records), len(self.rhythm_shares)), dtype=np.int64)
        counts[np.arange(len(records)), rhythm] = self.windows_per_patient
        splits = split_by_fraction(
            counts,
            val_fraction=self.val_fraction,
            test_fraction=self.test_fraction,
            seed=self.split_seed,
        )
        return Plan(
            fs_hz=float(self.fs_hz),
            leads=(self.lead,),
            labels=tuple(self.rhythm_shares),
            window_s=float(self.window_s),
            records=records,
            patients=records,
            splits=tuple(splits),
            record=np.repeat(np.arange(len(records)), self.windows_per_patient),
            start=np.tile(starts, len(records)),
            y=np.repeat(rhythm, self.windows_per_patient),
        )

    def signal(self, record: str) -> NDArray[np.float32]:
        """Simulate a patient; the same one whatever the number of patients around it."""
        patient = int(record[1:])
        signal = simulate(
            np.random.default_rng((self.generator_seed, patient)),
            rhythm=tuple(self.rhythm_shares)[self._rhythm_of_patient()[patient]],
            length_s=self.windows_per_patient * self.window_s,
            fs_hz=self.fs_hz,
            ectopic_share=self.ectopic_share,
            noise_gain=self.noise_gain,
        )
        return signal[None]

    def _rhythm_of_patient(self) -> NDArray[np.int64]:
        shares = np.array(list(self.rhythm_shares.values()))
        edges = np.cumsum(shares / shares.sum())
        # A sequence of low discrepancy keeps the shares near exact for any number of patients.
        golden = (np.arange(self.n_patients) * 0.6180339887498949) % 1.0
        return np.minimum(np.searchsorted(edges, golden, side="right"), len(shares) - 1)


class SyntheticDataModule(EcgDataModule):
    """`dataset=synthetic`."""

    def __init__(  # noqa: PLR0913 - one argument per key of the config option
        self,
        *,
        n_patients: int,
        windows_per_patient: int,
        window_s: float,
        fs_hz: float,
        lead: str,
        rhythm_shares: dict[str, float],
        ectopic_share: float,
        noise_gain: float,
        val_fraction: float,
        test_fraction: float,
        generator_seed: int,
        split_seed: int,
        batch_size: int,
        eval_batch_size: int,
        n_workers: int,
        sampling: Sampling,
        judged_by: JudgedBy,
        chain: Chain,
        data_dir: Path | None,
        cache_dir: Path,
        seed: int,
    ) -> None:
        """Describe the simulated patients and how they are served.

        Args:
            n_patients: Patients over all splits.
            windows_per_patient: Windows of each.
            window_s: Length of a window in seconds.
            fs_hz: Sampling rate of the simulation, before preprocessing.
            lead: Name of the simulated lead.
            rhythm_shares: Class name to its share of the patients; also the order of the classes.
            ectopic_share: Largest share of ectopic beats; half of the patients have none.
            noise_gain: Factor on wander, mains, muscle and motion; 0 switches them off.
            val_fraction: Share of the patients for validation.
            test_fraction: Share of the patients for the test.
            generator_seed: Seed of the patients.
            split_seed: Seed of the split.
            batch_size: Windows per training batch.
            eval_batch_size: Windows per validation and test batch.
            n_workers: Loader processes; 0 serves from this one.
            sampling: Which training windows make an epoch.
            judged_by: What has one answer in figures: each `window`, or a `record`.
            chain: The preprocessing.
            data_dir: Not used: nothing is read.
            cache_dir: Folder of all window caches.
            seed: Seed of batches and draws.
        """
        super().__init__(
            source=SyntheticSource(
                n_patients=n_patients,
                windows_per_patient=windows_per_patient,
                window_s=window_s,
                fs_hz=fs_hz,
                lead=lead,
                rhythm_shares=rhythm_shares,
                ectopic_share=ectopic_share,
                noise_gain=noise_gain,
                val_fraction=val_fraction,
                test_fraction=test_fraction,
                generator_seed=generator_seed,
                split_seed=split_seed,
            ),
            chain=chain,
            cache_dir=cache_dir,
            batch_size=batch_size,
            eval_batch_size=eval_batch_size,
            n_workers=n_workers,
            sampling=sampling,
            judged_by=judged_by,
            seed=seed,
        )
