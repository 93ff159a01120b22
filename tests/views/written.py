"""Run directories in the shapes that the supervisor writes, for tests of their account."""

from __future__ import annotations

import json
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

from tenfold.checkpoint import manifest
from tenfold.run.jsonfiles import write_json
from tenfold.run.rundir import RunDirectory, create, hold_lock
from tenfold.views.account import show_account
from tenfold.views.facts import read_facts
from tenfold.views.report import RunReport
from tenfold.views.terminal import Terminal
from tenfold.views.traffic import MapEdge
from tenfold.views.why import account_of

NOW = 2_000_000_000.0


def save(run: RunDirectory, step: int, saved: float) -> Path:
    """A checkpoint as tenfold.checkpoint writes them."""
    home = run.shared("checkpoints") / "main"
    beside = home / ".saving-1"
    beside.mkdir(parents=True)
    (beside / "state").write_bytes(b"state")
    manifest.seal(beside, step, {}, saved)
    return manifest.publish(home, beside, step)


class Told(dict[str, Any]):
    """What `why --json` prints of a report, and the report."""

    def __init__(self, report: RunReport) -> None:
        super().__init__(report.to_json())
        self.report = report


def shown(told: Told) -> str:
    """What `tenfold why` prints."""
    stream = StringIO()
    show_account(Terminal(stream), told.report)
    return stream.getvalue()


class Written:
    """A run directory with such files; `events` are stamped as they are given."""

    def __init__(self, runs: Path, *jobs: str, **plan: Any) -> None:
        self.run = create(runs, "word2vec")
        names = jobs or ("chief/0", "ps/0", "ps/1", "worker/0", "worker/1")
        self.tasks = {name: self._task(name) for name in names}
        planned = [
            {"task": name, "job": name.partition("/")[0], "index": int(name.partition("/")[2]),
             "restart": {"policy": "on-failure", "limit": 3, "window_s": 3600.0}}
            for name in names
        ]  # fmt: skip
        write_json(self.run.plan, {"cluster": "word2vec", "cell": "local", "tasks": planned} | plan)
        self.said: dict[str, Any] = {
            "cluster": "word2vec", "cell": "local", "state": "running", "outcome": None,
            "reason": None, "started": NOW - 600, "updated": NOW, "ended": None,
            "first_failure": None, "consequences": [], "hang": None, "resumed_from": None,
        }  # fmt: skip

    @staticmethod
    def _task(name: str) -> dict[str, Any]:
        job, _, index = name.partition("/")
        nothing = dict.fromkeys(("ended", "exit_code", "signal", "reason", "cause"))
        return {"task": name, "job": job, "index": int(index), "state": "running", "restarts": 0,
                "started": NOW - 600, "ready": NOW - 599, "retried": [], **nothing}  # fmt: skip

    def event(self, kind: str, task: str | None = None, ago_s: float = 60, **more: Any) -> None:
        event = {"time": NOW - ago_s, "kind": kind, "task": task, **more}
        with self.run.events.open("a") as stream:
            stream.write(json.dumps(event) + "\n")

    def death(self, task: str, ago_s: float = 10, **more: Any) -> dict[str, Any]:
        return {"task": task, "time": NOW - ago_s, "exit_code": None, "signal": None, "words": "",
                "reason": None, "cause": None} | more  # fmt: skip

    def write(self) -> None:
        for name, told in self.tasks.items():
            directory = self.run.task(name.replace("/", "-"))
            directory.path.mkdir(exist_ok=True)
            write_json(directory.status, told)
        write_json(self.run.status, self.said)

    def failed(self, reason: str, first: dict[str, Any] | None = None, *later: Any) -> None:
        self.said |= {"state": "failed", "outcome": "failed", "reason": reason, "ended": NOW}
        self.said |= {"first_failure": first, "consequences": list(later)}

    def told(self, *edges: MapEdge, alive: bool = False, **facts: Any) -> Told:
        """The account at NOW; `alive`: while a supervisor has the lock."""
        self.write()
        if not alive:
            return Told(account_of(replace(read_facts(self.run), **facts), edges, NOW))
        with hold_lock(self.run):
            read = read_facts(self.run)
        now = replace(read.status, age_s=0.1)
        return Told(account_of(replace(read, status=now, **facts), edges, NOW))
