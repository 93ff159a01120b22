"""Clusters that cases do harm to: brought up with `tenfold up`, as anyone would.

Owns: the command, waiting, and what a run directory says. Nothing here decides what is right.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from chaos import ROOT
from chaos.leftovers import MARK
from chaos.trial import Missed, Trial
from clusters import TENFOLD, environment, tree, write_cluster
from tenfold.base.naming import label_of
from tenfold.run.eventlog import read_events
from tenfold.run.jsonfiles import read_json
from tenfold.run.rundir import RunDirectory, every
from tenfold.views.status import status

POLL_S = 0.02
_COMMAND_S = 300.0

Done = subprocess.CompletedProcess[str]


@dataclass
class Ground:
    """A cluster file, and the runs of it. `options` are given to every `up`.

    `home` is where tasks may write, and where the runs are, in `runs`.
    """

    trial: Trial
    file: Path
    home: Path
    options: Sequence[str] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    disk: Path | None = None
    """Where its runs are, if not in `home`."""

    @classmethod
    def of(
        cls,
        trial: Trial,
        cluster: Mapping[str, Any],
        *options: str,
        disk: Path | None = None,
        env: Mapping[str, str] | None = None,
    ) -> Ground:
        """A cluster with this file, in a directory of its own below the case's home."""
        file = write_cluster(new_home(trial, str(cluster["cluster"])), cluster)
        return cls(trial, file, file.parent, options, env or {}, disk)

    @property
    def runs(self) -> Path:
        """Where its runs are."""
        return (self.disk or self.home) / "runs"

    def environment(self) -> dict[str, str]:
        """What its commands run in."""
        mine = {MARK: str(self.trial.home), "TENFOLD_DASHBOARD": "no"}
        return environment(**mine, **self.env)

    def tenfold(self, command: str, *words: str | Path, timeout_s: float = _COMMAND_S) -> Done:
        """A command on these runs, to its end, whatever its exit code."""
        argv = [*TENFOLD, command, "--runs", str(self.runs), *map(str, words)]
        return subprocess.run(
            argv,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_s,
            check=False,
            env=self.environment(),
            cwd=ROOT,
        )

    def up(self, *options: str, timeout_s: float = _COMMAND_S) -> Run:
        """Bring it up in the background; Missed, with its words, if that is refused."""
        before = {run.path for run in every(self.runs)}
        done = self.tenfold("up", self.file, "-d", *self.options, *options, timeout_s=timeout_s)
        if done.returncode:
            raise Missed(f"tenfold up ended with {done.returncode}: {refusal(done.stderr)}")
        new = [run for run in every(self.runs) if run.path not in before]
        return Run(self, new[-1] if new else self.newest().directory)

    def all_runs(self) -> list[Run]:
        """Every run there was."""
        return [Run(self, run) for run in every(self.runs)]

    def newest(self) -> Run:
        """The run that was brought up last."""
        found = max(every(self.runs), key=lambda run: run.run, default=None)
        if found is None:
            raise Missed("there is no run")
        return Run(self, found)


@dataclass
class Run:
    """One run, as its directory tells of it."""

    ground: Ground
    directory: RunDirectory

    @property
    def state(self) -> str | None:
        """`starting`, `running`, …; None while nothing was said."""
        return self.status()["state"]  # type: ignore[no-any-return]

    def status(self) -> dict[str, Any]:
        """The shape of `ps --json`."""
        return status(self.directory).to_json()

    def tasks(self) -> dict[str, dict[str, Any]]:
        """The tasks of that shape, by name."""
        return {task["task"]: task for task in self.status()["tasks"]}

    def on_disk(self, task: str) -> dict[str, Any]:
        """The task's own status.json, as it is."""
        return read_json(self.directory.task(label_of(task)).status) or {}

    def pid(self, task: str) -> int | None:
        """The host's pid of a task; None while it has none."""
        return self.on_disk(task).get("pid")

    def supervisor(self) -> int:
        """The supervisor's pid."""
        told = read_json(self.directory.status) or {}
        if not isinstance(told.get("supervisor_pid"), int):
            raise Missed("status.json names no supervisor")
        return int(told["supervisor_pid"])

    def own(self) -> list[psutil.Process]:
        """tenfold's own processes: supervisor, gate, launch server, preloads; no task."""
        tasks = {one["pid"] for one in self.tasks().values() if one["pid"]}
        below = tree(self.supervisor())
        theirs = {one.pid for task in tasks for one in tree(task)}
        return [one for one in below if one.pid not in theirs]

    def events(self, *kinds: str) -> list[dict[str, Any]]:
        """All events, or those of some kinds."""
        found, _ = read_events(self.directory.events)
        return [event.to_json() for event in found if not kinds or event.kind in kinds]

    def progress(self, task: str = "chief/0") -> float:
        """The share (0..1) that a task has told to be done."""
        label = label_of(task)
        told = read_json(self.directory.task(label).progress) or {}
        return float(told.get("done", 0)) / float(told.get("total") or 1)

    def log(self, task: str, stream: str = "stdout") -> str:
        """What a task wrote."""
        with contextlib.suppress(OSError):
            path = self.directory.task(label_of(task)).log(stream)
            return path.read_text(encoding="utf-8", errors="replace")
        return ""

    def supervisor_log(self) -> str:
        """What the supervisor itself had to say."""
        return self.directory.supervisor_log.read_text(encoding="utf-8", errors="replace")

    def until(self, *states: str, timeout_s: float = 60.0) -> str:
        """Wait for one of these states; gives it."""
        wait(lambda: self.state in states, timeout_s, lambda: f"{self} to be {' or '.join(states)}")
        return str(self.state)

    def down(self, *options: str, timeout_s: float = 120.0) -> Done:
        """`tenfold down`."""
        name = f"{self.directory.cluster}/{self.directory.run}"
        return self.ground.tenfold("down", name, *options, timeout_s=timeout_s)

    def why(self) -> str | None:
        """Keep the first line of `tenfold why` for the table; None where there is no such
        command."""
        name = f"{self.directory.cluster}/{self.directory.run}"
        done = self.ground.tenfold("why", name, timeout_s=60)
        lines = [line.strip() for line in done.stdout.splitlines() if line.strip()]
        if done.returncode == 2 and "No such command" in done.stderr:
            return None
        self.ground.trial.why = lines[0] if lines else f"nothing; {last(done.stderr)}"
        return self.ground.trial.why

    def __str__(self) -> str:
        now = self.status()
        return f"run {self.directory.run} (now {now['state']}: {now['reason']})"


def new_home(trial: Trial, name: str) -> Path:
    """A directory of its own below the case's home."""
    home = trial.home / f"{name}-{len(list(trial.home.iterdir()))}"
    home.mkdir()
    return home


def kill(pid: int | None, number: int) -> bool:
    """Signal a process; whether it was there."""
    if pid is None:
        return False
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


def wait(
    condition: Callable[[], object],
    timeout_s: float,
    what: str | Callable[[], str],
    poll_s: float = POLL_S,
) -> float:
    """Wait until `condition` holds; gives how long that took. Missed after `timeout_s`."""
    begun = time.monotonic()
    while not condition():
        if time.monotonic() - begun > timeout_s:
            told = what if isinstance(what, str) else what()
            raise Missed(f"waited {timeout_s:g} s in vain for {told}")
        time.sleep(poll_s)
    return time.monotonic() - begun


def refusal(text: str) -> str:
    """What a command of tenfold's says is wrong, without the hint."""
    return next((line for line in text.splitlines() if line.startswith("tenfold: ")), last(text))


def last(text: str) -> str:
    """The last line that says something."""
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].strip() if lines else "no word"


def shell(script: str, **more: Any) -> dict[str, Any]:
    """A job that runs a shell script."""
    return {"run": ["sh", "-c", script.replace("${", "$${")], **more}


def python(code: str, *words: str, **more: Any) -> dict[str, Any]:
    """A job that runs Python code, in an interpreter of its own."""
    return {"run": [sys.executable, "-c", code.replace("${", "$${"), *words], **more}


def as_json(path: Path) -> Any:
    """What is in a JSON file; raises as `json.loads` and `open` do."""
    return json.loads(path.read_text(encoding="utf-8"))
