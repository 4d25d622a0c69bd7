"""From TIR to an object file of plain C functions."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from ecgexp.deploy import lower
from ecgexp.deploy.kernels import table
from ecgexp.errors import BuildError


def _kernel(isa: Any) -> Any:
    return table.build(isa=isa, n=64, table=np.arange(-128, 128).astype(np.int8)).func


def test_symbols_are_plain_c_functions(tmp_path: Path) -> None:
    target = SimpleNamespace(cpu="native", isa="generic")
    funcs = {"first": _kernel("generic"), "second": _kernel("generic")}
    path = lower.write_object(funcs, target, tmp_path / "kernels.o")
    listed = subprocess.run(["nm", path], capture_output=True, text=True, check=True).stdout
    assert " T first" in listed
    assert " T second" in listed
    assert " U " not in listed


@pytest.mark.device
@pytest.mark.skipif(shutil.which("arm-none-eabi-nm") is None, reason="needs arm-none-eabi-nm")
def test_device_object_is_hard_float_helium(tmp_path: Path) -> None:
    target = SimpleNamespace(cpu="cortex-m55", isa="mve")
    path = lower.write_object({"look_up": _kernel("mve")}, target, tmp_path / "kernels.o")
    attributes = subprocess.run(
        ["arm-none-eabi-readelf", "-A", path], capture_output=True, text=True, check=True
    ).stdout
    assert "Tag_MVE_arch" in attributes
    assert "Tag_ABI_VFP_args: VFP registers" in attributes


def test_same_input_gives_same_bytes(tmp_path: Path) -> None:
    target = SimpleNamespace(cpu="cortex-m55", isa="mve")
    contents = [
        lower.lower_functions({"look_up": _kernel("mve")}, target, tmp_path) for _ in range(2)
    ]
    assert contents[0] == contents[1]


def test_unknown_core_is_refused(tmp_path: Path) -> None:
    target = SimpleNamespace(cpu="cortex-m99", isa="mve")
    with pytest.raises(BuildError, match="no code generator for cpu 'cortex-m99' with isa 'mve'"):
        lower.write_object({"f": _kernel("mve")}, target, tmp_path / "f.o")
