"""Read `.npz` files that may come from anywhere."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecgexp.errors import ExportError


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """Read an `.npz` file without ever unpickling anything.

    Raises:
        ExportError: The file is missing, is no `.npz`, or holds Python objects.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except FileNotFoundError as error:
        raise ExportError(f"{path} is missing: check the path") from error
    except (OSError, ValueError, EOFError, AttributeError, TypeError, zipfile.BadZipFile) as error:
        raise ExportError(
            f"{path} is no readable .npz of plain arrays ({error}): "
            "write it with numpy.savez(path, x=windows)"
        ) from error
