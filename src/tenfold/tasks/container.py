"""`tenfold task worker/3` in a container: run one life of a task.

Its state is written to the task's directory.

`life.json` says how it is, and `ready` is there while it can be used, so that a health check is
no more than a look at a file. What the task writes goes on to this process's own output, too, where
the engine's own log commands find it. Exits as the command does, 128 + n for signal n.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from tenfold.errors import InputError, TenfoldError, UnavailableError
from tenfold.launch.children import Children
from tenfold.launch.sampling import sampler_of
from tenfold.planning.plan import Plan, Task
from tenfold.run import files, planfile
from tenfold.run.files import set_aside
from tenfold.run.jsonfiles import Problems
from tenfold.run.lives import TaskLife
from tenfold.run.rendezvous import announce
from tenfold.run.rundir import SHARED, RunDirectory, TaskDirectory
from tenfold.tasks.runner import HostSettings, Runner

RUN_DIRECTORY = "/var/log/tenfold"
"""The run directory in a container, unless TENFOLD_RUN_DIRECTORY overrides it."""

_PASSED_ON = (
    signal.SIGTERM,
    signal.SIGINT,
    signal.SIGHUP,
    signal.SIGQUIT,
    signal.SIGUSR1,
    signal.SIGUSR2,
)
_POLL_S = 0.5
_WORD_S = 5.0


def run_task(name: str, environment: Mapping[str, str]) -> int:
    """Run a task to its end.

    Its name is `worker/3`, or `worker` with its index in JOB_COMPLETION_INDEX.
    """
    run, plan = read_plan(environment)
    task = plan.task(_full_name(name, environment))
    return asyncio.run(_live(plan, task, run, environment))


def read_plan(environment: Mapping[str, str]) -> tuple[RunDirectory, Plan]:
    """The run directory and its plan, with secrets filled in from the environment.

    Raises UnavailableError if they are not there.
    """
    run = RunDirectory(Path(environment.get("TENFOLD_RUN_DIRECTORY", RUN_DIRECTORY)))
    path = Path(environment.get("TENFOLD_PLAN", run.plan))
    try:
        plan = planfile.read_plan(path.resolve())  # Kubernetes puts it there as a link
    except UnavailableError as error:
        raise UnavailableError(
            f"there is no plan at {path}: the run directory is not shared with this machine",
            hint="the engine of a cell must have access to the files of this machine, "
            "or share a file system with it",
            cause=error,
        ) from error
    if path != run.plan and not files.exists(run.plan):
        _furnish(run, plan)
    return run, plan.restored(environment)


def _furnish(run: RunDirectory, plan: Plan) -> None:
    """Turn an empty directory into a run directory, for a plan passed otherwise."""
    for name in ("tasks", *SHARED):
        (run.path / name).mkdir(mode=0o700, exist_ok=True, parents=True)
    announce(run, {task.label: task.address for task in plan.tasks if task.address})
    planfile.write_plan(run.plan, plan)


def _full_name(name: str, environment: Mapping[str, str]) -> str:
    if "/" in name:
        return name
    index = environment.get("JOB_COMPLETION_INDEX")
    if index is None:
        raise InputError(f"{name} is not a task", hint="write worker/3")
    return f"{name}/{index}"


def addresses_of(plan: Plan) -> dict[str, list[str]]:
    """Addresses by job, from the plan. Raises TenfoldError if one is missing."""
    found: dict[str, list[str]] = {}
    for task in plan.tasks:
        if task.address is None:
            raise TenfoldError(f"the address of {task.name} is not in the plan")
        found.setdefault(task.job, []).append(task.address)
    return found


def ports_of(task: Task) -> dict[str, int]:
    """The task's ports by name, from the plan. `main` is the one of its address."""
    named = {name: port for name, port in task.ports.items() if port is not None}
    main = (task.address or "").rpartition(":")[2]
    return named | ({"main": int(main)} if main else {})


async def _live(plan: Plan, task: Task, run: RunDirectory, environment: Mapping[str, str]) -> int:
    directory = run.task(task.label)
    run.path.mkdir(mode=0o700, exist_ok=True, parents=True)
    files.make_directory(directory.path.parent)
    files.make_directory(directory.path)
    told = _Teller(directory.life, directory.ready, environment.get("TENFOLD_TERMINATION_LOG"))
    sampler = sampler_of(plan, task, run)
    runner = Runner(plan, task, run, Children(), told.tell, _pass_on, sampler=sampler)
    loop = asyncio.get_running_loop()
    for number in _PASSED_ON:
        loop.add_signal_handler(number, runner.signal, number)
    life_number = _last_life(directory) + 1
    bind = environment.get("TENFOLD_BIND", "0.0.0.0")
    place = HostSettings(ports_of(task), addresses_of(plan), environment, bind)
    sampler.open()
    life = await runner.live(life_number, place)
    await sampler.close()
    if life.refused is not None:
        print(f"{task.name}: {life.refused}", file=sys.stderr, flush=True)
    return life.shell_code


def _last_life(directory: TaskDirectory) -> int:
    """The number of the task's last life.

    0 if it had none, or if its file is damaged.
    """
    problems = Problems()
    life = TaskLife.read(directory.life, problems)
    if problems.found and (aside := set_aside(directory.life)):
        print(f"{directory.life} is damaged, and was renamed to {aside.name}", file=sys.stderr)
    return life.number if life else 0


class _Teller:
    """Writes the state of a life to files.

    The supervisor, health checks and Kubernetes read them.
    """

    def __init__(self, path: Path, ready: Path, termination_log: str | None) -> None:
        self._path = path
        self._ready = ready
        self._termination_log = termination_log

    def tell(self, life: TaskLife) -> None:
        """Record `life`, the task's present state."""
        with contextlib.suppress(OSError):  # a full disk must not end a training
            life.write(self._path)
        with contextlib.suppress(OSError):
            if life.ready is not None and life.ended is None:
                files.touch(self._ready)
            else:
                files.remove(self._ready)
        if life.ended is not None and self._termination_log:
            said = {key: getattr(life, key) for key in ("exit_code", "signal", "refused")}
            said |= {"memory_kills": life.memory_kills} if life.memory_kills else {}
            with contextlib.suppress(OSError):
                Path(self._termination_log).write_text(json.dumps(said), encoding="utf-8")


def _pass_on(stream: str, data: bytes) -> None:
    """Copy output to this process's own.

    It is not the task's fault if nobody reads that.
    """
    with contextlib.suppress(OSError):
        os.write(1 if stream == "stdout" else 2, data)


def await_others(name: str, environment: Mapping[str, str]) -> None:
    """Wait until the jobs that the task comes after are far enough.

    Looks into the shared run directory, and, for `ready`, at whether an address answers.
    """
    run, plan = read_plan(environment)
    task = plan.task(_full_name(name, environment))
    wanted = {
        other.name: (other, condition)
        for job, condition in task.after.items()
        for other in plan.jobs()[job]
    }
    said = time.monotonic()
    while missing := [n for n, (other, c) in wanted.items() if not _is_so(run, other, c)]:
        if time.monotonic() - said > _WORD_S:
            print(f"{task.name} waits for {', '.join(missing[:5])}", flush=True)
            said = time.monotonic()
        time.sleep(_POLL_S)


def _is_so(run: RunDirectory, other: Task, condition: str) -> bool:
    directory = run.task(other.label)
    life = TaskLife.read(directory.life) or TaskLife()
    if condition == "succeeded":
        return life.exit_code == 0
    if condition == "started":
        return life.started is not None or _accepts(other)
    return files.exists(directory.ready) or (other.ready is not None and _accepts(other))


def _accepts(other: Task) -> bool:
    if other.address is None:
        return False
    host, _, port = other.address.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), timeout=2):
            return True
    except OSError:
        return False
