"""`tenfold.torch.initialize` outside a cluster, and without PyTorch."""

from __future__ import annotations

import sys

import pytest

import tenfold
from tenfold.errors import UnavailableError


def test_outside_a_cluster_it_does_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RANK", raising=False)
    group = tenfold.torch.initialize()
    assert (group.rank, group.size, group.local_rank, group.backend) == (0, 1, 0, None)


def test_without_pytorch_the_error_names_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("RANK", "0"), ("WORLD_SIZE", "1"), ("MASTER_ADDR", "h")):
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MASTER_PORT", "1")
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(UnavailableError) as caught:
        tenfold.torch.initialize()
    assert caught.value.hint == f"{sys.executable} -m pip install torch"
