from __future__ import annotations

import errno
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch

from ecgexp.errors import ExportError
from ecgexp.training.checkpoint import (
    AtomicCheckpointIO,
    load_checkpoint,
    load_into,
    load_network_state,
)
from ecgexp.training.resize import resize


@pytest.fixture
def fitted(toy_fit: Any) -> Any:
    return toy_fit(max_epochs=2, run_info={"config": {"seed": 5, "nested": {"lr": [0.1, None]}}})


def plain(value: object) -> bool:
    if isinstance(value, dict):
        return all(plain(key) and plain(item) for key, item in value.items())
    if isinstance(value, list | tuple):
        return all(map(plain, value))
    return value is None or isinstance(value, str | int | float | bool | torch.Tensor)


def test_holds_tensors_and_plain_values_only(fitted: Any) -> None:
    content = torch.load(fitted.last, weights_only=True)
    assert plain(content), [key for key, value in content.items() if not plain(value)]
    assert content["ecgexp"]["schema"] == 1


def test_carries_what_is_needed_to_use_it(fitted: Any, spec: Any) -> None:
    found = load_checkpoint(fitted.last)
    assert found.spec == spec
    assert found.config == {"seed": 5, "nested": {"lr": [0.1, None]}}
    assert {"torch", "pytorch-lightning", "ecgexp", "python"} <= found.versions.keys()
    assert found.epoch == 1
    assert len(found.history) == 2


def test_loads_into_the_same_network_only(fitted: Any) -> None:
    load_into(fitted.network, fitted.best)
    with pytest.raises(
        ExportError,
        match=r"best\.ckpt: .* is of another network than Linear: \d+ tensors missing "
        r"in it \(first weight\), \d+ tensors unknown to the network \(first \S+\); rebuild",
    ):
        load_into(torch.nn.Linear(2, 2), fitted.best)


def test_a_pruned_checkpoint_shrinks_channels_and_nothing_else() -> None:
    """A weight with other taps or more channels is no pruned one, and does not load."""

    def made(*sizes: int) -> torch.nn.Sequential:
        return torch.nn.Sequential(torch.nn.Conv1d(*sizes))

    for sizes in ((4, 4, 5), (4, 16, 3), (8, 8, 3)):
        resize(network := made(4, 8, 3), made(*sizes).state_dict())
        assert network[0].weight.shape == (8, 4, 3)
    resize(network := made(4, 8, 3), made(2, 4, 3).state_dict())
    assert network[0].weight.shape == (4, 2, 3)


def damage_nothing(path: Path) -> None:
    path.unlink()


def damage_cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def damage_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[200:260] = b"\xff" * 60
    path.write_bytes(content)


def damage_empty(path: Path) -> None:
    path.write_bytes(b"")


def damage_text(path: Path) -> None:
    path.write_text("not a checkpoint")


def damage_foreign(path: Path) -> None:
    torch.save({"state_dict": {}}, path)


def damage_tensor(path: Path) -> None:
    torch.save(torch.zeros(3), path)


def damage_code(path: Path) -> None:
    path.write_bytes(pickle.dumps(Path("/tmp"), protocol=2))


def damage_schema(path: Path) -> None:
    content = torch.load(path, weights_only=True)
    content["ecgexp"]["schema"] = 99
    torch.save(content, path)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (damage_nothing, "no such checkpoint"),
        (damage_cut, "damaged checkpoint"),
        (damage_byte, "damaged checkpoint|more than tensors"),
        (damage_empty, "damaged checkpoint"),
        (damage_text, "damaged checkpoint|more than tensors"),
        (damage_foreign, "not a checkpoint of ecgexp"),
        (damage_tensor, "holds a Tensor, not a checkpoint"),
        (damage_code, "more than tensors and plain values|damaged checkpoint"),
        (damage_schema, "checkpoint schema 99, this version reads 1"),
    ],
)
def test_bad_files_are_named_with_a_remedy(fitted: Any, damage: Any, message: str) -> None:
    damage(fitted.last)
    with pytest.raises(ExportError, match=rf"last\.ckpt: .*({message}).*(train again)"):
        load_network_state(fitted.last)


def test_a_full_disk_leaves_the_old_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "last.ckpt"
    AtomicCheckpointIO().save_checkpoint({"epoch": 1}, target)

    def refuse(self: Path, data: Any) -> int:
        self.touch()
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", refuse)
    with pytest.raises(ExportError, match=r"last\.ckpt: cannot write .*No space left.*free space"):
        AtomicCheckpointIO().save_checkpoint({"epoch": 2}, target)
    assert torch.load(target, weights_only=True) == {"epoch": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["last.ckpt"]
