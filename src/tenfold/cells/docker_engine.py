"""Talking to Docker's engine through its command line: commands, and the stream of events.

Owns the words of what goes wrong. Everything is bounded in time, but for pulling and building.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import IO, Any

from tenfold.errors import TenfoldError, UnavailableError

PROJECT = "com.docker.compose.project"
SERVICE = "com.docker.compose.service"
"""Labels that Compose, old and new, gives to what it makes."""

_COMMAND_S = 60.0


class EngineError(TenfoldError):
    """A docker command failed; `message` is the last thing that it said."""


@dataclass(frozen=True, slots=True)
class Container:
    """One container of a project."""

    id: str
    service: str


async def docker(
    *words: str,
    timeout_s: float | None = _COMMAND_S,
    env: Mapping[str, str] | None = None,
    log: IO[bytes] | None = None,
) -> str:
    """The output of `docker WORDS`; raises EngineError if it fails or takes too long.

    With `log`, both of its streams go there instead.
    """
    return await run_command(("docker", *words), timeout_s=timeout_s, env=env, log=log)


async def run_command(
    argv: tuple[str, ...],
    *,
    timeout_s: float | None = _COMMAND_S,
    env: Mapping[str, str] | None = None,
    log: IO[bytes] | None = None,
) -> str:
    """As `docker`, for any command."""
    try:
        process = await asyncio.create_subprocess_exec(
            *argv,
            stdin=subprocess.DEVNULL,
            stdout=log or subprocess.PIPE,
            stderr=log or subprocess.PIPE,
            env=env,
            start_new_session=True,
        )
    except OSError as error:
        raise UnavailableError(f"{argv[0]} cannot be run: {error.strerror}") from error
    try:
        out, err = await asyncio.wait_for(process.communicate(), timeout_s)
    except BaseException as error:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        if isinstance(error, TimeoutError):
            words = f"no answer to `{' '.join(argv[:2])}` after {timeout_s:g} s"
            raise EngineError(words, hint="is the Docker engine well? tenfold doctor") from error
        raise
    if process.returncode != 0:
        raise EngineError(_last_words((err or b"") + b"\n" + (out or b""), argv))
    return (out or b"").decode(errors="replace")


def _last_words(said: bytes, argv: tuple[str, ...]) -> str:
    lines = [line.strip() for line in said.decode(errors="replace").splitlines() if line.strip()]
    lines = [line for line in lines if not line.startswith("Error: failed to start containers")]
    last = lines[-1] if lines else f"`{' '.join(argv[:2])}` failed and said nothing"
    return last.removeprefix("Error response from daemon: ").removeprefix("ERROR: ")


async def containers(project: str) -> list[Container]:
    """All containers of a project, whatever their state."""
    shown = await docker(
        *("ps", "-a", "--no-trunc", "--filter", f"label={PROJECT}={project}"),
        *("--format", f'{{{{.ID}}}} {{{{.Label "{SERVICE}"}}}}'),
    )
    return [Container(*line.split(" ", 1)) for line in shown.splitlines() if " " in line]


async def inspected(container: str) -> dict[str, Any]:
    """`docker inspect`'s State of one container."""
    shown = await docker("inspect", "--type", "container", "--format", "{{json .State}}", container)
    state: dict[str, Any] = json.loads(shown)
    return state


async def remove(project: str) -> list[str]:
    """Remove a project's containers and networks; in words, what was removed."""
    found = await containers(project)
    if found:
        await docker("rm", "-f", "-v", *(container.id for container in found))
    networks = (
        await docker("network", "ls", "-q", "--filter", f"label={PROJECT}={project}")
    ).split()
    if networks:
        await docker("network", "rm", *networks)
    words = [f"{len(found)} containers"] if found else []
    return words + ([f"{len(networks)} networks"] if networks else [])


async def events(project: str, since: float) -> AsyncIterator[dict[str, Any]]:
    """Events of a project's containers from `since` (seconds since 1970) on.

    Ends when the engine goes away.
    """
    process = await asyncio.create_subprocess_exec(
        *("docker", "events", "--since", f"{since:.9f}", "--format", "{{json .}}"),
        *("--filter", "type=container", "--filter", f"label={PROJECT}={project}"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    assert process.stdout is not None
    try:
        while line := await process.stdout.readline():
            with contextlib.suppress(ValueError):
                yield json.loads(line)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def wait_for_engine(timeout_s: float) -> bool:
    """Whether the engine answers within `timeout_s` seconds."""
    deadline = asyncio.get_running_loop().time() + timeout_s
    while asyncio.get_running_loop().time() < deadline:
        with contextlib.suppress(EngineError):
            await docker("version", "--format", "{{.Server.Version}}", timeout_s=5.0)
            return True
        await asyncio.sleep(0.5)
    return False


Note = Callable[[str, str | None], None]


async def have_image(image: str, note: Note) -> None:
    """Have `image` here, pulled if need be. Raises EngineError, in the user's words, if not."""
    try:
        await docker("image", "inspect", "--format", "{{.Id}}", image)
        return
    except EngineError as error:
        if "no such image" not in error.message.lower():
            raise
    note(f"pulling the image {image}", None)
    try:
        await docker("pull", "--quiet", image, timeout_s=None)
    except EngineError as error:
        raise EngineError(
            f"there is no image {image} here, and it cannot be pulled: {error.message}",
            hint="build it (`build:` in the file), or name another one (`image:`); docker images "
            "lists those that are here",
            cause=error,
        ) from error
