"""The launch server that answers its tasks' binds: what it keeps, and what tasks see of it."""

from __future__ import annotations

import asyncio
import os
import resource
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tenfold.launch import binds
from tenfold.launch.client import LaunchClient
from tests.launch.test_client import spawn

pytestmark = pytest.mark.skipif(bool(binds.refusal()), reason=f"no seccomp: {binds.refusal()}")


def with_client(use: Callable[[LaunchClient], Awaitable[None]]) -> None:
    """Run `use` with a launch server that answers binds."""

    async def run() -> None:
        client = LaunchClient(isolated=False, filtered=True)
        await client.open(lambda: None)
        try:
            await (await spawn(client, "true"))[1]  # it has everything that it needs by then
            await asyncio.wait_for(use(client), 60)
        finally:
            await client.close()

    asyncio.run(run())


def descriptors(client: LaunchClient) -> int:
    """How many the launch server has open."""
    return len(os.listdir(f"/proc/{client._process.pid}/fd"))


def test_nothing_is_kept_of_an_ended_task() -> None:
    """Not even where a child of its own is still there."""

    async def use(client: LaunchClient) -> None:
        before = descriptors(client)
        for command in (["true"], ["sh", "-c", "sleep 600 & exit 0"]):
            ends = [(await spawn(client, *command))[1] for _ in range(20)]
            await asyncio.gather(*ends)
        for _ in range(500):
            if descriptors(client) <= before:
                return
            await asyncio.sleep(0.01)
        raise AssertionError(f"{descriptors(client)} descriptors, {before} before")

    with_client(use)


def test_a_task_may_open_as_many_files_as_ever(tmp_path: Path) -> None:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)

    async def use(client: LaunchClient) -> None:
        with open(tmp_path / "said", "wb") as said:
            _, ended = await spawn(client, "sh", "-c", "ulimit -Sn", stdout=said.fileno())
            assert await ended == 0

    with_client(use)
    assert (tmp_path / "said").read_text().strip() == str(soft)


def test_a_failed_start_is_reported_under_the_filter_too() -> None:
    async def use(client: LaunchClient) -> None:
        before = descriptors(client)
        with pytest.raises(Exception, match="/no/such/program: No such file"):
            await spawn(client, "/no/such/program")
        assert descriptors(client) == before

    with_client(use)
