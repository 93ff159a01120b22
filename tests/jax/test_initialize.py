"""`tenfold.jax.initialize` outside a cluster, and without JAX."""

from __future__ import annotations

import sys

import pytest

import tenfold
from tenfold.errors import UnavailableError

MEMBER = {
    "TENFOLD_TASK": "worker/0",
    "JAX_COORDINATOR_ADDRESS": "127.0.0.1:1",
    "JAX_NUM_PROCESSES": "1",
    "JAX_PROCESS_ID": "0",
}


@pytest.mark.imports("jax")
@pytest.mark.parametrize("missing", sorted(MEMBER))
def test_outside_a_cluster_it_does_nothing(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in MEMBER.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv(missing)
    process = tenfold.jax.initialize()
    assert (process.id, process.count) == (0, 1)


def test_without_jax_the_error_names_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in MEMBER.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setitem(sys.modules, "jax", None)
    with pytest.raises(UnavailableError) as caught:
        tenfold.jax.initialize()
    assert caught.value.hint == f"{sys.executable} -m pip install jax"
