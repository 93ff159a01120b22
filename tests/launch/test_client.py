"""The launch server with real processes: true exits, orphans, sockets inside."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import psutil
import pytest

from tenfold.launch.channel import SpawnError, Started
from tenfold.launch.client import LaunchClient
from tenfold.launch.preloads import Preload

Use = Callable[[LaunchClient], Awaitable[None]]


def with_client(isolation: str, use: Use) -> None:
    """Run `use` with an open launch server, and close it whatever happens."""

    async def run() -> None:
        client = LaunchClient(isolated=isolation == "namespace")
        await client.open(lambda: None)
        try:
            await asyncio.wait_for(use(client), 60)
        finally:
            await client.close()

    asyncio.run(run())


async def spawn(
    client: LaunchClient,
    *argv: str,
    env: dict[str, str] | None = None,
    stdout: int | None = None,
    preload: Preload | None = None,
) -> tuple[Started, asyncio.Future[int]]:
    """Start a command with /dev/null as its stdio; gives its exit as a future too."""
    ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    null = os.open(os.devnull, os.O_RDWR)
    environment = {"PATH": os.environ["PATH"]} | (env or {})
    try:
        started = await client.spawn(
            argv,
            environment,
            Path("/tmp"),
            (null, null if stdout is None else stdout, null),
            ended.set_result,
            preload=preload,
        )
    finally:
        os.close(null)
    return started, ended


async def eventually(condition: Callable[[], object]) -> None:
    """Wait until it holds; fails the test after 10 s."""
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.01)


def asleep(seconds: str) -> list[int]:
    """Pids of `sleep SECONDS` that descend from this process."""
    below = psutil.Process().children(recursive=True)
    return [one.pid for one in below if _words(one) == ["sleep", seconds]]


def _words(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def test_a_start_without_free_resources_fails_alone(isolation: str) -> None:
    async def use(client: LaunchClient) -> None:
        first, _ = await spawn(client, "sleep", "600")
        server = psutil.Process(first.pid).parent()
        assert server is not None
        limits = resource.prlimit(server.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (3, limits[1]))
        with pytest.raises(SpawnError, match="Too many open files"):
            await spawn(client, "true")
        resource.prlimit(server.pid, resource.RLIMIT_NOFILE, limits)
        _, ended = await spawn(client, "sh", "-c", "exit 3")
        assert os.waitstatus_to_exitcode(await ended) == 3

    with_client(isolation, use)


def test_a_start_without_its_killed_preload_still_succeeds(isolation: str) -> None:
    async def use(client: LaunchClient) -> None:
        environment = {"PATH": os.environ["PATH"]}
        variables = tuple(environment.items())
        preload = Preload(sys.executable, (), ("json",), variables, "/", "cluster")
        await client.preload(preload, environment)
        code = "import gc, sys; print(gc.get_freeze_count() > 0, flush=True); sys.exit(4)"
        read, write = os.pipe()
        _, ended = await spawn(client, sys.executable, "-c", code, stdout=write, preload=preload)
        assert os.waitstatus_to_exitcode(await ended) == 4
        (server,) = [
            one
            for one in psutil.Process().children(recursive=True)
            if "(tenfold: has imported" in _words(one)
        ]
        server.kill()
        server.wait(60)  # but nobody has told the client yet
        _, ended = await spawn(client, sys.executable, "-c", code, stdout=write, preload=preload)
        assert os.waitstatus_to_exitcode(await ended) == 4
        os.close(write)
        with os.fdopen(read) as lines:
            assert [line.strip() for line in lines] == ["True", "False"]

    with_client(isolation, use)


@pytest.mark.parametrize(
    ("script", "code"), [("exit 0", 0), ("exit 77", 77), ("kill -TERM $$", -15)]
)
def test_every_exit_is_the_true_one(isolation: str, script: str, code: int) -> None:
    async def use(client: LaunchClient) -> None:
        _, ended = await spawn(client, "sh", "-c", script)
        assert os.waitstatus_to_exitcode(await ended) == code

    with_client(isolation, use)


def test_the_pid_is_the_hosts(isolation: str) -> None:
    async def use(client: LaunchClient) -> None:
        started, ended = await spawn(client, "sleep", "60")
        assert Path(f"/proc/{started.pid}/cmdline").read_bytes() == b"sleep\x0060\x00"
        client.signal(started, signal.SIGKILL)
        assert os.waitstatus_to_exitcode(await ended) == -9

    with_client(isolation, use)


@pytest.mark.parametrize("argv", [("no-such-program",), ("/etc/passwd",)])
def test_a_command_that_cannot_start_raises_an_error_with_its_name(
    isolation: str, argv: tuple[str, ...]
) -> None:
    async def use(client: LaunchClient) -> None:
        with pytest.raises(SpawnError, match=argv[0]):
            await spawn(client, *argv)
        _, ended = await spawn(client, "true")
        assert await ended == 0

    with_client(isolation, use)


def test_a_directory_that_is_not_there_is_named(isolation: str) -> None:
    async def use(client: LaunchClient) -> None:
        null = os.open(os.devnull, os.O_RDWR)
        with pytest.raises(SpawnError, match="cannot enter /nowhere"):
            await client.spawn(
                ["true"], dict(os.environ), Path("/nowhere"), (null, null, null), print
            )
        os.close(null)

    with_client(isolation, use)


def test_a_task_has_nothing_open_but_its_stdio(isolation: str) -> None:
    async def use(client: LaunchClient) -> None:
        read, write = os.pipe()
        _, ended = await spawn(client, "sh", "-c", "ls /proc/$$/fd; exit 0", stdout=write)
        os.close(write)
        assert await ended == 0
        with os.fdopen(read) as said:
            assert said.read().split() == ["0", "1", "2"]

    with_client(isolation, use)


def test_closing_ends_everything_that_was_started(isolation: str) -> None:
    pids: list[int] = []

    async def use(client: LaunchClient) -> None:
        for script in ("trap '' TERM; sleep 600 & wait", "setsid sleep 601 & sleep 602"):
            started, _ = await spawn(client, "sh", "-c", script)
            pids.append(started.pid)
        deep = [psutil.Process(pid) for pid in pids]
        for one in deep:
            await eventually(lambda one=one: one.children())  # type: ignore[misc]
        pids.extend(child.pid for one in deep for child in one.children(recursive=True))

    with_client(isolation, use)
    assert len(pids) > 3
    assert not any(psutil.pid_exists(pid) for pid in pids)


def test_many_at_once(isolation: str) -> None:
    async def use(client: LaunchClient) -> None:
        exits = [(await spawn(client, "sh", "-c", f"exit {n % 100}"))[1] for n in range(200)]
        codes = [os.waitstatus_to_exitcode(status) for status in await asyncio.gather(*exits)]
        assert codes == [n % 100 for n in range(200)]

    with_client(isolation, use)


def test_signals_to_many_never_block(isolation: str) -> None:
    """Both ends send as much as they can at once; neither may wait for the other."""

    async def use(client: LaunchClient) -> None:
        begun = [await spawn(client, "sleep", "600") for _ in range(700)]
        for started, _ in begun:
            client.signal(started, signal.SIGTERM)
        for _, ended in begun:
            assert os.waitstatus_to_exitcode(await ended) == -signal.SIGTERM

    with_client(isolation, use)


def test_a_start_whose_caller_was_cancelled_is_killed(isolation: str) -> None:
    async def use(client: LaunchClient) -> None:
        forgotten = asyncio.create_task(spawn(client, "sleep", "601"))
        await asyncio.sleep(0)
        forgotten.cancel()
        started, ended = await spawn(client, "sleep", "602")
        assert Path(f"/proc/{started.pid}/cmdline").read_bytes() == b"sleep\x00602\x00"
        client.signal(started, signal.SIGKILL)
        await ended
        with pytest.raises(asyncio.CancelledError):
            await forgotten
        await eventually(lambda: not asleep("601"))

    with_client(isolation, use)


def test_a_large_environment_arrives(isolation: str) -> None:
    async def use(client: LaunchClient) -> None:
        env = {f"V{n}": "x" * 100_000 for n in range(10)}
        _, ended = await spawn(client, "sh", "-c", "test ${#V9} = 100000", env=env)
        assert await ended == 0

    with_client(isolation, use)
