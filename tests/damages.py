"""A run directory with every file there is, ways to damage each, and commands that then read it."""

from __future__ import annotations

import importlib
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tenfold import cli
from tenfold.checkpoint import manifest
from tenfold.planning.plan import Plan, ReadinessCheck, Task
from tenfold.run.jsonfiles import write_json
from tenfold.run.rundir import RunDirectory, create

NOW = 1_764_000_000.0
TERABYTE = 1 << 40
LIMIT_S = 20.0

NUMBER, TEXT = 5, "text"
FOREIGN: tuple[Any, ...] = (
    True, 5, -1, 1 << 70, 1e300, -0.5, "text", "", "\ud800", "../../..", "\x1b[2J\0", [], [[]],
    {}, {"a": {"b": []}}, [None, 5, "x", {}], None,
)  # fmt: skip
"""Values of every type, for fields that want another one."""

NASTY = (
    b"", b"{", b"[]", b"5", b"null", b'"x"', b"\xff\xfe{}", b"\xef\xbb\xbf{}", b"{}" * 9,
    b"[" * 100_000, b'{"a":' * 100_000, b'{"a":' * 500 + b"1" + b"}" * 500,
    b'{"state": "\\ud800", "reason": "\\udfff"}', b'{"updated": NaN, "started": Infinity}',
    b'{"updated": 1e999}', b'{"started": ' + b"9" * 5000 + b"}", b"\0" * 5000,
    b'{"state": "failed", "state": 5}', b'{"tasks": {"a": 1}}', b"\xed\xa0\x80",
)  # fmt: skip
"""Contents that are no state, or hardly."""


def full_run(runs: Path) -> RunDirectory:
    """A run that failed, with every file that a run can have."""
    run = create(runs, "demo")
    tasks = (
        Task("ps", 0, ("sleep", "9"), address="127.0.0.1:2222", ready=ReadinessCheck("tcp", "x")),
        Task("worker", 0, ("python", "train.py"), address="127.0.0.1:2223", after={"ps": "ready"}),
    )
    plan = Plan("demo", "tensorflow", "local", str(runs), tasks, ("worker",))
    write_json(run.plan, plan.to_json())
    death = {"task": "worker/0", "time": NOW, "exit_code": 1, "signal": None,
             "words": "exited with code 1", "reason": None, "cause": None}  # fmt: skip
    write_json(run.status, {
        "version": 1, "cluster": "demo", "run": run.run, "cell": "local", "state": "failed",
        "outcome": "failed", "reason": "worker/0 exited with code 1", "started": NOW - 60,
        "updated": NOW, "ended": NOW, "host": socket.gethostname(), "supervisor_pid": 4_000_000,
        "protection": "namespace", "protection_words": "nobody reaches it",
        "resumed_from": {"run": "before", "checkpoint": "main/1", "step": 1},
        "hang": {"words": "no progress", "task": "worker/0", "report": "hangs/1/report.txt"},
        "first_failure": death | {"lines": ["last words"]},
        "consequences": [death | {"task": "ps/0"}],
    })  # fmt: skip
    events: list[dict[str, Any]] = [
        {"kind": "cluster-starting", "run": run.run},
        {"kind": "task-started", "task": "worker/0", "pid": 4_000_001, "host": "h", "restarts": 0},
        {"kind": "task-retried", "task": "worker/0", "in_s": 1.0, "attempt": 1, "limit": 3,
         "scope": "task", "anew": True, "because": "exited"},
        {"kind": "disk-full", "path": "/x"},
        {"kind": "disk-back", "path": "/x", "lost_bytes": 5, "kept": 1, "lost": 0},
        {"kind": "hang", "words": "no progress", "task": "worker/0", "report": "r"},
        {"kind": "task-unkillable", "task": "ps/0", "pid": 4_000_002},
        {"kind": "task-unready", "task": "ps/0", "timeout_s": 5.0},
        {"kind": "set-aside", "file": "/x", "as": "x.damaged-1"},
        {"kind": "resumed", "run": "before", "checkpoint": "main/1", "step": 1},
        {"kind": "error", "message": "m", "hint": "h"},
        {"kind": "task-exited", "task": "worker/0", "exit_code": 1, "signal": None,
         "state": "failed", "reason": None, "cause": None},
    ]  # fmt: skip
    run.events.write_text(
        "".join(json.dumps({"time": NOW, "task": None} | e) + "\n" for e in events)
    )
    run.supervisor_log.write_text("a word\n")
    run.lock.touch()
    write_json(run.path / "addresses.json", {"ps-0": "127.0.0.1:2222"})
    write_json(run.resumed, {"version": 1, "run": "before", "checkpoint": "main/1", "step": 1,
                             "saved": NOW, "ended": NOW, "retried": {"worker/0": [NOW]},
                             "set_aside": [{"file": "f", "as": "g"}]})  # fmt: skip
    for task in tasks:
        _fill_task(run, task)
    report = {"version": 1, "time": NOW, "cluster": "demo", "run": run.run, "words": "no progress",
              "task": "worker/0", "sign": "progress", "still_s": 5.0, "after_s": 5.0,
              "action": "report", "seconds": 1.0, "suspects": [], "groups": [], "silent": [],
              "tasks": [], "lines": {"worker/0": ["x"]}}  # fmt: skip
    (run.path / "hangs" / "1").mkdir(parents=True)
    write_json(run.path / "hangs" / "1" / "report.json", report)
    home = run.shared("checkpoints") / "main"
    (home / ".saving-1").mkdir(parents=True)
    (home / ".saving-1" / "state").write_bytes(b"state")
    manifest.seal(home / ".saving-1", 1, {}, NOW)
    manifest.publish(home, home / ".saving-1", 1)
    return run


def _fill_task(run: RunDirectory, task: Task) -> None:
    directory = run.task(task.label)
    directory.path.mkdir()
    write_json(directory.status, {
        "version": 1, "task": task.name, "job": task.job, "index": task.index, "state": "failed",
        "address": task.address, "host": socket.gethostname(), "pid": None, "restarts": 1,
        "exit_code": 1, "signal": None, "reason": None, "cause": None, "retried": [NOW],
        "url": "http://127.0.0.1:6006/", "urls": {"page": "http://127.0.0.1:6006/"},
        "started": NOW - 60, "ready": NOW - 59, "ended": NOW,
    })  # fmt: skip
    write_json(directory.progress, {"done": 1, "total": 2, "unit": "steps", "rate": 1.0,
                                    "figures": {"loss": 1.0, "epoch": "1/3"},
                                    "time": NOW})  # fmt: skip
    variable = {"name": "w", "variable": "w", "task": "ps/0", "part": 0, "parts": 1, "shape": [2],
                "dtype": "float32", "bytes": 8, "device": "/cpu:0"}  # fmt: skip
    write_json(directory.placement, {"version": 1, "variables": [variable]})
    write_json(directory.unsaved, {"version": 1, "time": NOW, "words": "disk full", "place": "/x"})
    write_json(directory.life, {"number": 1, "host": "h", "ips": [], "pid": 5, "started": NOW})
    write_json(directory.path / "address.json", {"address": task.address})
    directory.ready.touch()
    directory.token.write_text("x" * 32)
    for stream in ("stdout", "stderr"):
        directory.older_log(stream).write_text("first\n")
        directory.older_times(stream).write_text(f"0 {NOW - 50}\n")
        directory.log(stream).write_text("line\nlast words\n")
        directory.times(stream).write_text(f"6 {NOW - 40}\n")
    peers = {"ps/0" if task.job == "worker" else "worker/0": [10, 20, 1, 1]}
    samples = [{"time": NOW + n, "peers": peers} for n in range(3)]
    directory.traffic.write_text("".join(json.dumps(sample) + "\n" for sample in samples))
    usage = [{"time": NOW + n, "cpu_s": 1.0 + n, "memory": 5, "processes": 1} for n in range(3)]
    directory.usage.write_text("".join(json.dumps(sample) + "\n" for sample in usage))


def files_of(run: RunDirectory) -> list[str]:
    """Every file in the run, by its path in there; of the tasks, of one."""
    found = [path for path in run.path.rglob("*") if path.is_file()]
    names = [str(path.relative_to(run.path)) for path in found]
    return sorted(name for name in names if "ps-0" not in name)


def fifo(path: Path, _: Path) -> None:
    """A pipe that nobody writes to."""
    path.unlink()
    os.mkfifo(path)


def link(path: Path, secret: Path) -> None:
    """A link to a file outside, of the same contents."""
    secret.write_bytes(path.read_bytes() + b'\n{"time": 1, "kind": "SECRET"}\nSECRET\n')
    path.unlink()
    path.symlink_to(secret)


def loop(path: Path, _: Path) -> None:
    """A link to itself."""
    path.unlink()
    path.symlink_to(path.name)


def directory(path: Path, _: Path) -> None:
    """A directory."""
    path.unlink()
    path.mkdir()
    (path / "x").touch()


def unix_socket(path: Path, _: Path) -> None:
    """A socket."""
    path.unlink()
    before = Path.cwd()
    os.chdir(path.parent)
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
    finally:
        os.chdir(before)


def device(path: Path, _: Path) -> None:
    """A terminal's device, and for who may not make that, a link to one that never ends."""
    path.unlink()
    try:
        os.mknod(path, 0o600 | 0o020000, os.makedev(1, 5))  # /dev/zero
    except PermissionError:
        path.symlink_to("/dev/zero")


def huge(path: Path, _: Path) -> None:
    """A terabyte of holes behind what there was."""
    os.truncate(path, TERABYTE)


def missing(path: Path, _: Path) -> None:
    """Nothing."""
    path.unlink()


def unreadable(path: Path, _: Path) -> None:
    """Nobody's to read, but root's."""
    path.chmod(0)


def parent_link(path: Path, secret: Path) -> None:
    """The directory of the file is a link to one outside."""
    outside = secret.with_name("outside-" + path.parent.name)
    path.parent.rename(outside)
    with (outside / path.name).open("ab") as stream:
        stream.write(b'\n{"time": 1, "kind": "SECRET"}\nSECRET\n')
    path.parent.symlink_to(outside)


Damage = Callable[[Path, Path], None]
DAMAGES: tuple[Damage, ...] = (
    fifo, link, loop, directory, unix_socket, device, huge, missing, unreadable, parent_link,
)  # fmt: skip


def contents(name: str, data: bytes) -> Iterator[tuple[str, bytes]]:
    """Other contents for a file: no state, or each of its fields with values of other types."""
    for number, nasty in enumerate(NASTY):
        yield f"contents {number}", nasty + b"\n"
    if not name.endswith((".json", ".jsonl")):
        return
    lines = data.splitlines()
    for place, line in enumerate(lines):
        for path in _paths(json.loads(line)):
            for value in FOREIGN:
                changed = json.dumps(_changed(json.loads(line), path, value)).encode()
                what = f"{name}:{place} {path} = {value!r}"[:120]
                yield what, b"\n".join([*lines[:place], changed, *lines[place + 1 :]]) + b"\n"


def _paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    items = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for key, inner in items:
        yield (*path, key)
        yield from _paths(inner, (*path, key))


def _changed(value: Any, path: tuple[Any, ...], to: Any) -> Any:
    inner = value
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = to
    return value


READING: tuple[tuple[str, ...], ...] = (
    ("ps",), ("ps", "--json"), ("ps", "-a"), ("ps", "-a", "--json"), ("logs", "-n", "5"),
    ("logs", "-n", "5", "--json"), ("logs", "-f", "-n", "5"), ("why",), ("why", "--json"),
    ("events",), ("events", "--json"), ("events", "-f"), ("map",), ("map", "--json"),
    ("map", "--svg"),
    ("stacks",), ("down",), ("restart", "worker/0"), ("exec", "worker/0", "true"),
)  # fmt: skip


_IMPORTED = (
    *(f"cli.{name}" for name in (
        "ps", "logs", "why", "events", "map", "stacks", "down", "restart", "exec_")),
    *("bringup.api", "views.account", "views.follow", "views.map", "views.picture"),
    *("views.traffic", "views.why", "views.screen", "views.faults", "debug.findings"),
    "launch.enter",
)  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    """How a command ended; `code` is None if it did not."""

    words: tuple[str, ...]
    code: int | None
    said: str

    def fault(self) -> str | None:
        """What is wrong with that, in words; None if nothing is."""
        if self.code is None:
            return f"{' '.join(self.words)} hangs"
        if "Traceback" in self.said or "unexpected" in self.said or self.code not in (0, 1, 2, 3):
            return f"{' '.join(self.words)} ends with {self.code}: {self.said[-300:]}"
        if "SECRET" in self.said:
            return f"{' '.join(self.words)} follows a link"
        return None


def run_command(runs: Path, words: tuple[str, ...], scratch: Path) -> Outcome:
    """A command in a child of this process, which has imported everything: milliseconds."""
    for name in _IMPORTED:
        importlib.import_module(f"tenfold.{name}")
    place = 2 if words[0] == "exec" else len(words)
    arguments = [*words[:1], "--runs", str(runs), *words[1:place], *words[place:]]
    output = scratch / "output"
    child = os.fork()
    if child == 0:
        code = 70
        try:
            target = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(target, 1)
            os.dup2(target, 2)
            sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")
            code = cli.run(arguments)
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(code)
    deadline = time.monotonic() + LIMIT_S
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            code = os.waitstatus_to_exitcode(status)
            return Outcome(words, code, output.read_bytes().decode(errors="replace"))
        if time.monotonic() > deadline:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return Outcome(words, None, "")
        time.sleep(0.001)
