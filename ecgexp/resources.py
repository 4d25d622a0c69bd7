"""Find the folders that ship beside the package: conf and firmware."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def resource_folder(name: str) -> Path:
    """Return the folder `conf` or `firmware`, in a wheel or in a checkout.

    Args:
        name: Folder name.

    Raises:
        FileNotFoundError: The installation is incomplete.
    """
    for parent in (_PACKAGE, _PACKAGE.parent):
        folder = parent / name
        if folder.is_dir():
            return folder
    raise FileNotFoundError(f"{name}/ is missing beside {_PACKAGE}: reinstall ecgexp")
