"""Types for stacks of tasks: frames, threads, processes, and their JSON."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import Any

from tenfold.base.naming import job_of
from tenfold.run.states import State

_LIBRARY = re.compile(r".*/(?:site-packages|dist-packages|lib/python[\d.]+)/")


@dataclass(frozen=True, slots=True)
class StackFrame:
    """One call: the function, its file as Python knows it, and the line it is at."""

    function: str
    file: str
    line: int | None = None

    @property
    def package_file(self) -> str | None:
        """A library's file, from its package on; None for the user's own code."""
        if found := _LIBRARY.match(self.file):
            return self.file[found.end() :]
        return self.file if self.file.startswith("<frozen") else None

    @property
    def words(self) -> str:
        """`step (train.py:88)`."""
        line = "" if self.line is None else f":{self.line}"
        return f"{self.function} ({PurePath(self.file).name}{line})"


@dataclass(frozen=True, slots=True)
class Thread:
    """One thread's stack, the newest call first.

    `name` is None if the source does not know it.
    """

    frames: tuple[StackFrame, ...]
    name: str | None = None
    main: bool = False

    @property
    def own(self) -> StackFrame | None:
        """The newest call of the user's own code, or the newest call if there is none."""
        mine = (frame for frame in self.frames if frame.package_file is None)
        return next(mine, next(iter(self.frames), None))


@dataclass(frozen=True, slots=True)
class ProcessStacks:
    """The kernel's information about one process of a task, and its stacks.

    Attributes:
        pid: as numbered where it was looked at.
        state: one letter (proc_pid_stat(5)): R runs, S sleeps, D waits uninterruptibly, T is
            stopped, t is held by a debugger, Z has ended.
        wchan: the function of the kernel its main thread sleeps in, where that is told.
        cpu_s: CPU seconds it has used.
        threads: how many threads it has, Python's or not.
        command: the program's name.
        source: who told the stacks: `faulthandler`, `py-spy`, or None.
        stacks: its Python threads, the main one first; empty if nobody told them.
        trouble: why not, in words, and `hint`, what would help.
        raw: the source's own text.
    """

    pid: int
    state: str
    command: str
    wchan: str | None = None
    cpu_s: float = 0.0
    threads: int = 1
    source: str | None = None
    stacks: tuple[Thread, ...] = ()
    trouble: str | None = None
    hint: str | None = None
    raw: str = ""


@dataclass(frozen=True, slots=True)
class TaskStacks:
    """One task: its processes, with the one that was started first.

    `trouble` is set if no process was seen.

    `phase` is the task's state as the supervisor tells it; `elsewhere`: its pids are those of a
    container or another host.
    """

    task: str
    phase: str = State.RUNNING
    processes: tuple[ProcessStacks, ...] = ()
    trouble: str | None = None
    elsewhere: bool = False

    @property
    def job(self) -> str:
        """`worker` of `worker/3`."""
        return job_of(self.task)

    @property
    def stopped(self) -> tuple[ProcessStacks, ...]:
        """Its processes that do not run, since a signal stopped them."""
        return tuple(process for process in self.processes if process.state == "T")

    @property
    def told(self) -> ProcessStacks | None:
        """The process whose stacks stand for the task: the first one with any."""
        return next((process for process in self.processes if process.stacks), None)

    def without_raw(self) -> TaskStacks:
        """The same without the sources' own text."""
        return replace(self, processes=tuple(replace(p, raw="") for p in self.processes))


def to_json(found: TaskStacks) -> dict[str, Any]:
    """A JSON object of the same names."""
    return {
        "task": found.task,
        "state": found.phase,
        "processes": [_process_json(process) for process in found.processes],
        "trouble": found.trouble,
        "elsewhere": found.elsewhere,
    }


def _process_json(process: ProcessStacks) -> dict[str, Any]:
    plain = {name: getattr(process, name) for name in ProcessStacks.__slots__ if name != "stacks"}
    if not process.raw:
        del plain["raw"]
    stacks = [
        {
            "name": thread.name,
            "main": thread.main,
            "frames": [
                {"function": f.function, "file": f.file, "line": f.line} for f in thread.frames
            ],
        }
        for thread in process.stacks
    ]
    return plain | {"stacks": stacks}


def from_json(data: Mapping[str, Any]) -> TaskStacks:
    """The stacks in the result of `to_json`.

    Raises TypeError, KeyError or AttributeError for anything else.
    """
    return TaskStacks(
        task=data["task"],
        phase=data["state"],
        processes=tuple(_process(process) for process in data["processes"]),
        trouble=data.get("trouble"),
        elsewhere=data["elsewhere"],
    )


def _process(data: Mapping[str, Any]) -> ProcessStacks:
    plain = {
        name: data[name] for name in ProcessStacks.__slots__ if name in data and name != "stacks"
    }
    return ProcessStacks(**plain, stacks=tuple(_thread(thread) for thread in data["stacks"]))


def _thread(data: Mapping[str, Any]) -> Thread:
    return Thread(
        tuple(StackFrame(**frame) for frame in data["frames"]), data["name"], data["main"]
    )
