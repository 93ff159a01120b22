"""PyTorch's state dicts: by torch's own writer, nothing unpickled, and a disk that is full."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import pytest

from tenfold.checkpoint import StateDicts, manifest, torch
from tests.checkpoint.conftest import SmallDisk
from tests.own_process import lazily

library = lazily("torch")
pytestmark = pytest.mark.imports("torch")


def training(place: Path, width: int = 8) -> tuple[StateDicts, Any, Any]:
    model = library.nn.Linear(width, 2)
    optimizer = library.optim.Adam(model.parameters(), lr=0.1)
    parts = {"model": model, "optimizer": optimizer}
    return torch(parts, place=place, every_s=0, keep=2), model, optimizer


def train(model: Any, optimizer: Any, steps: int) -> None:
    for _ in range(steps):
        optimizer.zero_grad()
        model(library.ones(4, model.in_features)).square().mean().backward()
        optimizer.step()


def test_a_resumed_training_ends_like_an_undisturbed_one(tmp_path: Path) -> None:
    saved, model, optimizer = training(tmp_path)
    assert saved.restore() is None
    train(model, optimizer, 3)
    assert saved.save(3, {"epoch": 1})
    train(model, optimizer, 4)

    again, resumed, its_optimizer = training(tmp_path)
    found = again.restore()
    assert found is not None
    assert (found.step, found.position) == (3, {"epoch": 1})
    train(resumed, its_optimizer, 4)
    assert library.equal(resumed.weight, model.weight)
    assert library.equal(resumed.bias, model.bias)


class _Evil:
    """Unpickled, it runs a command."""

    def __init__(self, mark: Path) -> None:
        self._mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch '{self._mark}'",)


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    """Whoever may write there makes a manifest that fits; no code of theirs runs all the same."""
    saved, _, _ = training(tmp_path)
    mark = tmp_path / "unpickled"

    def write(path: Path) -> None:
        library.save({"model": _Evil(mark)}, path / "state.pt")

    saved.checkpoints.save(1, write)
    with pytest.raises(pickle.UnpicklingError, match="Weights only load failed"):
        saved.restore()
    assert not mark.exists()


def test_the_training_continues_on_a_full_disk(
    disk: SmallDisk, capsys: pytest.CaptureFixture[str]
) -> None:
    saved, model, _ = training(disk.path, width=20_000)
    assert saved.save(1)
    kept = model.weight.detach().clone()
    disk.fill(leave=100_000)
    with library.no_grad():
        model.weight.zero_()
    assert saved.save(2) is False
    assert "No space left on device" in capsys.readouterr().err
    assert not [name for name in os.listdir(disk.path / "training") if manifest.SAVING in name]
    found = saved.restore()
    assert found is not None
    assert found.step == 1
    assert library.equal(model.weight, kept)
    disk.empty()
    assert saved.save(3)
