"""Use Docker's engine through its command line: commands and events.

Owns the words of what goes wrong. Everything is bounded in time, but for building, and for pulling
from a registry that answers.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import subprocess
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from tenfold.base.paths import expanded
from tenfold.base.quantities import limit_text
from tenfold.cells.docker.doctor import compose
from tenfold.errors import TenfoldError, UnavailableError
from tenfold.planning.plan import Plan, Task
from tenfold.run import files

PROJECT = "com.docker.compose.project"
SERVICE = "com.docker.compose.service"
"""Labels that old and new versions of Compose set on what they create."""

_COMMAND_S = 60.0
_COMPOSE_S = 300.0
_REGISTRY_S = 30.0
_AWAY = re.compile(r"cannot connect to the docker daemon|is the docker daemon running|error during"
                   r" connect|failed to connect to the docker api|connection reset by peer"
                   r"|unexpected eof|^eof$", re.I)  # fmt: skip


class EngineError(TenfoldError):
    """A docker command failed. `message` is its last line of output."""

    @property
    def is_away(self) -> bool:
        """Whether nobody answered, for example because the engine is restarting."""
        return _AWAY.search(self.message) is not None

    @property
    def is_gone(self) -> bool:
        """Whether the object of the command no longer exists."""
        return "no such container" in self.message.lower()


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
    """The output of `docker WORDS`.

    Raises EngineError if the command fails or takes too long.

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
    """The same as `docker`, for any command."""
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
            words = f"no response to `{' '.join(argv[:2])}` after {limit_text(timeout_s or 0.0)}"
            raise EngineError(
                words, hint="check the Docker engine with `tenfold doctor`"
            ) from error
        raise
    if process.returncode != 0:
        raise EngineError(_last_words((err or b"") + b"\n" + (out or b""), argv))
    return (out or b"").decode(errors="replace")


def _last_words(said: bytes, argv: tuple[str, ...]) -> str:
    lines = [line.strip() for line in said.decode(errors="replace").splitlines() if line.strip()]
    lines = [line for line in lines if not line.startswith("Error: failed to start containers")]
    last = lines[-1] if lines else f"`{' '.join(argv[:2])}` failed without output"
    return last.removeprefix("Error response from daemon: ").removeprefix("ERROR: ")


async def containers(project: str) -> list[Container]:
    """All containers of a project in any state."""
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


async def docker_once_back(wait_s: float, *words: str) -> str:
    """Run `docker WORDS`, and once more if the engine went away meanwhile.

    The engine has `wait_s` seconds to come back.
    """
    try:
        return await docker(*words)
    except EngineError as error:
        if not error.is_away or not await wait_for_engine(wait_s):
            raise
        return await docker(*words)


async def run_compose(
    project: str, path: Path, words: tuple[str, ...], env: Mapping[str, str]
) -> str:
    """The output of Compose, in any version, for `words` about a project's file."""
    command, finding = compose()
    if command is None:
        raise UnavailableError(finding.message, hint=finding.hint)
    argv = (*command, "-p", project, "-f", str(path), *words)
    return await run_command(argv, timeout_s=_COMPOSE_S, env=env)


async def connect(network: str, container: str) -> None:
    """Connect a container to its second network.

    Compose 1 does so only when it starts the container itself.
    """
    try:
        await docker("network", "connect", network, container)
    except EngineError as error:
        if "already exists" not in error.message:
            raise


async def remove(project: str, wait_s: float = 0.0) -> list[str]:
    """Remove a project's containers and networks. Returns a description of each.

    An engine that is away is waited for.
    """
    try:
        return await _remove(project)
    except EngineError as error:
        if not error.is_away or not await wait_for_engine(wait_s):
            raise
        return await _remove(project)


async def _remove(project: str) -> list[str]:
    found = await containers(project)
    for _ in range(3):
        left = await containers(project)
        try:
            if left:
                await docker("rm", "-f", "-v", *(container.id for container in left))
            break
        except EngineError as error:  # somebody else removes them too
            if not error.is_gone and "already in progress" not in error.message:
                raise
            await asyncio.sleep(0.5)
    networks = (
        await docker("network", "ls", "-q", "--filter", f"label={PROJECT}={project}")
    ).split()
    if networks:
        await docker("network", "rm", *networks)
    words = [f"{len(found)} containers"] if found else []
    return words + ([f"{len(networks)} networks"] if networks else [])


@dataclass(frozen=True, slots=True)
class EngineEvent:
    """An event of a container: `die`, `oom`, … `stamp` is in ns since 1970."""

    container: str
    action: str
    stamp: int
    exit_code: int


_EVENT = '{{.Actor.ID}}\t{{.Action}}\t{{.TimeNano}}\t{{index .Actor.Attributes "exitCode"}}'
"""The fields of an event that are needed, and no others.

All labels of an image come along otherwise, and they may be of any length.
"""


async def events(project: str, since: float) -> AsyncIterator[EngineEvent]:
    """Events of a project's containers from `since` (seconds since 1970) on.

    Ends when the engine goes away.
    """
    process = await asyncio.create_subprocess_exec(
        *("docker", "events", "--since", f"{since:.9f}", "--format", _EVENT),
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
                container, action, stamp, code = line.decode().rstrip("\n").split("\t")
                yield EngineEvent(container, action, int(stamp), int(code or 0))
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
    """Make `image` available here, and pull it if necessary.

    Raises EngineError, with a message for the user, if that fails.
    """
    try:
        await docker("image", "inspect", "--format", "{{.Id}}", image)
        return
    except EngineError as error:
        if "no such image" not in error.message.lower():
            raise
    note(f"pulling the image {image}", "list images with docker images")
    try:
        await _pull(image)
    except EngineError as error:
        raise EngineError(
            f"there is no image {image} here, and it cannot be pulled: {error.message}",
            hint="build it (`build:` in the file), or set another image (`image:`); docker images "
            "lists those that are here",
            cause=error,
        ) from error


async def _pull(image: str) -> None:
    """Pull the image, for as long as it takes once the registry has answered."""
    argv = ("docker", "pull", image)
    process = await asyncio.create_subprocess_exec(
        *argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    assert process.stdout is not None
    said: deque[bytes] = deque(maxlen=5)
    limit_s: float | None = _REGISTRY_S
    try:
        while line := await asyncio.wait_for(process.stdout.readline(), limit_s):
            said.append(line)
            if b"Pulling from" in line:
                limit_s = None
    except TimeoutError:
        raise EngineError(
            f"its registry does not respond within {limit_text(_REGISTRY_S)}"
        ) from None
    else:
        if await process.wait() != 0:
            raise EngineError(_last_words(b"".join(said), argv))
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def build_words(plan: Plan) -> list[str]:
    """The arguments of `docker` that build the plan's image."""
    build = plan.build or {}
    context = os.path.normpath(os.path.join(plan.directory, expanded(build.get("context") or ".")))  # noqa: PTH118
    words = ["build", "--force-rm", "--tag", plan.image or "", "--file"]
    words.append(os.path.join(context, expanded(build.get("dockerfile") or "Dockerfile")))  # noqa: PTH118
    for name in build.get("args") or {}:
        words += ["--build-arg", name]  # its value is in the environment: others can read words
    return [*words, context]


async def build_image(plan: Plan, log: Path, note: Note) -> None:
    """Build the image like `docker build`. Unchanged layers are reused.

    What it says goes to `log`. Raises EngineError, with the last of it, if it fails.
    """
    note(f"building the image {plan.image}", f"full output: {log}")
    try:
        files.remove(log)
        with os.fdopen(files.open_own(log, os.O_WRONLY | os.O_TRUNC)[0], "wb") as sink:
            env = dict(os.environ) | ((plan.build or {}).get("args") or {})
            await docker(*build_words(plan), timeout_s=None, log=sink, env=env)
    except EngineError as error:
        said = files.read_end(log, 1 << 16).decode(errors="replace").strip().splitlines()
        raise EngineError(
            f"the image {plan.image} could not be built: {said[-1] if said else error.message}",
            hint=f"the output of docker build is in {log}",
            cause=error,
        ) from error


def start_error(task: Task, error: EngineError) -> TenfoldError:
    """Why the container of `task` did not start, as a message for the user."""
    said = error.message
    if error.is_gone:
        return TenfoldError(
            "its container was removed from outside and cannot be restarted",
            cause=error,
        )
    if "executable file not found" in said or "no such file or directory" in said:
        return TenfoldError(
            f"the image {task.image} does not contain tenfold",
            hint="install tenfold in it; docker/Dockerfile in tenfold's repository is an example",
            cause=error,
        )
    if "could not select device driver" in said:
        return TenfoldError(
            "this engine does not support GPUs",
            hint="install the NVIDIA Container Toolkit; check with `tenfold doctor`",
            cause=error,
        )
    return TenfoldError(f"its container could not be started: {said}", cause=error)


async def first_words(container: str) -> str:
    """The task runner's output of a container that ended before its command ran."""
    said = ""
    with contextlib.suppress(EngineError):
        said = await run_command(("sh", "-c", 'exec docker logs --tail 5 "$0" 2>&1', container))
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return lines[0].removeprefix("tenfold: ") if lines else "its container ended immediately"


def who_reaches(plan: Plan) -> str:
    """Who outside the run can connect to its tasks' ports."""
    words = "the tasks are on a separate Docker network, which root and the group docker can reach"
    if named := [task.name for task in plan.tasks if task.publish or task.network == "host"]:
        some = ", ".join(named[:3]) + (", …" if len(named) > 3 else "")
        words += f"; every user of this machine can reach {some} on a second network"
    return words
