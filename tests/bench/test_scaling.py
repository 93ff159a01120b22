"""Workers with a simulated computation really update the parameters."""

from __future__ import annotations

import pytest

import scaling
from measure import Bench
from scaling import Load

from .conftest import measured

pytestmark = pytest.mark.usefixtures("lean_tensorflow")


def test_one_and_two_workers(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scaling, "SERVERS", 1)
    scaling.compare(bench, (1, 2), Load(seconds=0.01, mib=1.0, steps=3))
    rows = measured(bench)
    names = {case for case, _ in rows}
    assert names == {"1 worker, 0.01 s a step", "2 workers, 0.01 s a step"}
    for name in names:
        a_step_mb = rows[name, "gRPC traffic"]["median"] / rows[name, "throughput"]["median"]
        assert a_step_mb > 2 * 1.0  # 1 MiB down and up
        assert "simulated: 0.01 s a step" in rows[name, "throughput"]["note"]
    assert rows["1 worker, 0.01 s a step", "efficiency"]["median"] == 100
