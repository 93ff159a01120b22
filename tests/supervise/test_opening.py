"""A run that is stopped while its cell still opens: an image that is built takes minutes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from tenfold.cells import Placed, Protection
from tenfold.planning.plan import Task
from tenfold.run.jsonfiles import read_json
from tenfold.run.rundir import create
from tenfold.supervise.loop import Supervisor
from tests.plans import plan_of, shell


class NeverOpen:
    """A cell that is still opening when the run is to end."""

    closed = False

    async def open(self, on_lost: Callable[[str], None]) -> Protection:
        del on_lost
        await asyncio.sleep(600)
        raise AssertionError

    async def start(self, task: Task) -> Placed:
        raise AssertionError(task)

    def signal(self, task: Task, number: int) -> None:
        raise AssertionError(task, number)

    async def is_ready(self, task: Task) -> bool:
        raise AssertionError(task)

    def address(self, task: Task) -> str | None:
        raise AssertionError(task)

    def urls(self, task: Task) -> dict[str, str]:
        raise AssertionError(task)

    async def close(self) -> None:
        self.closed = True


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_an_early_stop_ends_immediately_with_the_given_reason(tmp_path: Path, how: str) -> None:
    run, cell = create(tmp_path, "c"), NeverOpen()

    async def stopped_early() -> str:
        supervisor = Supervisor(plan_of(shell("chief", "true")), run, lambda _: cell)
        asyncio.get_running_loop().call_later(0.3, getattr(supervisor, how), "because")
        return await asyncio.wait_for(supervisor.run(), 30)

    assert asyncio.run(stopped_early()) == "stopped"
    assert cell.closed
    said = read_json(run.status) or {}
    assert (said["state"], said["reason"]) == ("stopped", "because")
    assert (read_json(run.task("chief-0").status) or {})["state"] == "stopped"
