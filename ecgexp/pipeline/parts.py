"""Build the parts that a configuration names."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ecgexp.config.build import build
from ecgexp.errors import ConfigError

if TYPE_CHECKING:
    from torch import nn

    from ecgexp.dataset.datamodule import EcgDataModule
    from ecgexp.tracking.store import Store
    from ecgexp.training.losses import Objective
    from ecgexp.types import SignalSpec


def home_folder(config: dict[str, Any]) -> Path:
    """Return `paths.home` as an absolute folder."""
    return Path(config["paths"]["home"]).expanduser().resolve()


def open_store(config: dict[str, Any]) -> Store:
    """Return the store that a configuration names."""
    store: Store = build(config["tracking"], path="tracking", home=home_folder(config))
    return store


def build_data(config: dict[str, Any]) -> EcgDataModule:
    """Return the data module that a configuration describes; nothing is read yet."""
    chain = build(config["preprocessing"], path="preprocessing")
    folder = config["paths"]["data"]
    data: EcgDataModule = build(
        config["dataset"],
        path="dataset",
        chain=chain,
        data_dir=Path(folder).expanduser().resolve() if folder else None,
        cache_dir=home_folder(config) / "cache",
        seed=config["seed"],
    )
    data.augment(build(config["augmentation"], path="augmentation"))
    return data


def build_network(config: dict[str, Any], spec: SignalSpec) -> nn.Module:
    """Return the untrained network for windows of a specification.

    Raises:
        ConfigError: The network reads signals, and windows are images.
    """
    network: nn.Module = build(config["architecture"], path="architecture", spec=spec)
    if spec.n_rows is not None and not getattr(network, "reads_images", False):
        raise ConfigError(
            "architecture: this network reads signals, but windows are images "
            f"{spec.window_shape}; use architecture=cnn_scalogram_small or efficientnet_b0, or "
            "another preprocessing"
        )
    return network


def build_objective(config: dict[str, Any], data: EcgDataModule) -> Objective:
    """Return the loss and the measures; class weights come from the training split."""
    objective: Objective = build(
        config["objective"], path="objective", spec=data.spec, class_counts=data.class_counts
    )
    return objective
