"""These clusters are of several processes, and a machine's GPU may be one."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _on_cpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
