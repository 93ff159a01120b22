"""The tasks of a launch server, from start to end, and their orphans.

A task has ended when nothing of it runs any more: neither a process of the group that its own
process led, nor one that was adopted and carries its mark. Its exit status is that of its own
process. If that one ends first, the supervisor is told (`left`), which gives the others their
grace; a signal that ended the task reaches whoever is adopted later, too.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass, field

from tenfold.base import procfs
from tenfold.launch.filters import Filters
from tenfold.launch.signals import group_exists, runs_in_group, signal_group

MARK = "TENFOLD_SPAWN"
"""The variable that marks a process with the start of the task it descends from."""

_ENDING = (signal.SIGTERM, signal.SIGKILL)


@dataclass(slots=True)
class _Task:
    """One start of a task.

    `status` is that of its own process, which leads the group `pid`, once it has ended. `left`:
    this end was reported. `told` is the last signal that was to end the task, and `reached` the
    adopted processes that got it.
    """

    name: str
    pid: int
    serves: bool
    status: int | None = None
    left: bool = False
    told: int | None = None
    filters: Filters | None = None
    reached: set[int] = field(default_factory=set)


class Tasks:
    """The tasks of one launch server: its children, and the orphans it adopts."""

    def __init__(self, tell: Callable[..., None], drain: Callable[[str], None]) -> None:
        """`tell` gets the notices `left` and `exited`.

        `drain` gets the name of a preload server that has ended, before its end is reported.
        """
        self._tell = tell
        self._drain = drain
        self._tasks: dict[int, _Task] = {}

    def __len__(self) -> int:
        return len(self._tasks)

    @property
    def lingering(self) -> bool:
        """Whether tasks are left whose own process has ended."""
        return any(task.status is not None for task in self._tasks.values())

    def add(self, pid: int, name: str, *, serves: bool) -> None:
        """Add a task that runs as the process `pid`.

        `serves`: it is a preload server.
        """
        self._tasks[pid] = _Task(name, pid, serves)

    def signal(self, name: str, number: int) -> None:
        """Signal the remaining processes of the task."""
        for task in [task for task in self._tasks.values() if task.name == name]:
            if number == signal.SIGTERM:
                task.filters = Filters(task.pid)
                task.filters.end_group()
            else:
                signal_group(task.pid, number)
            if number in _ENDING:
                task.told, task.reached = number, set()
                if number == signal.SIGKILL or task.status is not None:
                    _pass_on(task, _adopted(self._tasks).get(name, []))

    def reap(self) -> None:
        """Record every process that has ended."""
        ended = False
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG | os.WUNTRACED)
            except ChildProcessError:
                break
            if pid == 0:
                break
            task = self._tasks.get(pid)
            if os.WIFSTOPPED(status):
                if task is not None and task.serves:
                    os.kill(pid, signal.SIGCONT)  # no task may keep others from being started
                continue
            ended = True
            if task is not None and task.status is None:
                task.status = status
                if task.serves:
                    self._drain(task.name)
        if ended or self.lingering:
            self._settle()

    def _settle(self) -> None:
        """Report tasks that have ended, or only their own process.

        Orphans of other tasks are ended.
        """
        adopted = _adopted(self._tasks)
        for task in [task for task in self._tasks.values() if task.status is not None]:
            others = adopted.get(task.name, [])
            _pass_on(task, others)
            if task.filters is not None:
                task.filters.look()
            if not _rest(task, others):
                del self._tasks[task.pid]
                self._tell(op="exited", id=task.name, status=task.status)
            elif not task.left and task.told != signal.SIGKILL:
                task.left = True
                self._tell(op="left", id=task.name, status=task.status)
        known = {task.name for task in self._tasks.values()}
        for name, pids in adopted.items():
            for pid in pids if name not in known else ():
                _kill(pid, signal.SIGKILL)

    def kill_all(self) -> bool:
        """Kill all children and adopted processes. Returns whether any was left."""
        children = {*_children(), *self._tasks}
        for pid in children:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, signal.SIGKILL)
            _kill(pid, signal.SIGKILL)
        self.reap()
        return bool(_children() or self._tasks)


def _pass_on(task: _Task, adopted: list[int]) -> None:
    """Send the ending signal of a task to processes that its group's missed."""
    if task.told is None:
        return
    for pid in adopted:
        if pid not in task.reached and _group_of(pid) != task.pid:
            _kill(pid, task.told)
            if task.told == signal.SIGTERM:
                _kill(pid, signal.SIGCONT)
        task.reached.add(pid)


def _rest(task: _Task, adopted: list[int]) -> bool:
    """Whether anything still runs of a task whose own process has ended."""
    return bool(adopted) or (group_exists(task.pid) and runs_in_group(task.pid))


def _adopted(tasks: dict[int, _Task]) -> dict[str, list[int]]:
    """Children that are not tasks, by the mark they carry.

    Children without a mark are left out.
    """
    found: dict[str, list[int]] = {}
    for pid in _children():
        if pid not in tasks and (mark := _mark(pid)) is not None:
            found.setdefault(mark, []).append(pid)
    return found


def _children() -> list[int]:
    """This process's children, adopted ones too.

    Empty if the kernel does not report them.
    """
    return procfs.read_children("self") or []


def _mark(pid: int) -> str | None:
    mark = (procfs.read_environment(pid) or {}).get(MARK.encode())
    return None if mark is None else mark.decode(errors="replace")


def _group_of(pid: int) -> int:
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return 0


def _kill(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)
