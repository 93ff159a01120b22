"""Clusters that bench scripts bring up: with `tenfold up`, as anyone would, and down again.

Owns: cluster files made for a bench, runs that end with their case, which processes are whose,
and programs started by hand in a network of their own, to compare with.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from measure import Done, command

TENFOLD = (sys.executable, "-m", "tenfold")
"""The command, whatever is on PATH."""

QUIET = {"TF_CPP_MIN_LOG_LEVEL": "2", "TF_ENABLE_ONEDNN_OPTS": "0"}
"""What every TensorFlow process here is started with, tenfold's or not."""

TASKS = Path(__file__).parent / "tasks"
"""Programs that tasks of bench clusters run."""

_COMMAND_S = 600.0
_FIRST_PORT = 2222


def environment(**more: str) -> dict[str, str]:
    """This process's environment, without settings of tenfold's, with QUIET and `more`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TENFOLD_")}
    return kept | QUIET | more


def write_cluster(directory: Path, cluster: Mapping[str, Any]) -> Path:
    """The cluster file of `cluster`, in `directory`, which is made. (JSON is YAML.)"""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "tenfold.yaml"
    path.write_text(json.dumps(cluster, indent=1), encoding="utf-8")
    return path


@dataclass(frozen=True)
class Up:
    """A cluster that is up. `seconds` is what the whole `tenfold up -d --wait` took."""

    seconds: float
    status: dict[str, Any]

    @property
    def directory(self) -> Path:
        """The run directory."""
        return Path(self.status["directory"])

    @property
    def addresses(self) -> list[str]:
        """`host:port` of every task."""
        return [task["address"] for task in self.status["tasks"]]

    def pid(self, task: str) -> int:
        """The host's pid of `worker/3`."""
        return next(int(t["pid"]) for t in self.status["tasks"] if t["task"] == task)

    def processes(self) -> list[psutil.Process]:
        """Every process of the run: the supervisor and all below it."""
        told = json.loads((self.directory / "status.json").read_text(encoding="utf-8"))
        return tree(told["supervisor_pid"])

    def own(self) -> list[psutil.Process]:
        """tenfold's own: supervisor, gate, launch server, what is forked from; no task."""
        tasks = {task["pid"] for task in self.status["tasks"]}
        theirs = {process.pid for pid in tasks for process in tree(pid)}
        return [process for process in self.processes() if process.pid not in theirs]


def tree(pid: int | None) -> list[psutil.Process]:
    """A process and all its descendants; empty when it is gone."""
    if pid is None:
        return []
    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    return []


def tenfold(
    *words: str | Path, timeout_s: float = _COMMAND_S, env: Mapping[str, str] | None = None
) -> Done:
    """A whole command of tenfold's, on the clock; raises as `command` does."""
    return command([*TENFOLD, *words], timeout_s=timeout_s, env=environment(**(env or {})))


@contextlib.contextmanager
def up(
    file: Path, *options: str, env: Mapping[str, str] | None = None, timeout_s: float = _COMMAND_S
) -> Iterator[Up]:
    """Bring the cluster up beside its file, until every task answers; down on the way out."""
    runs = file.parent / "runs"
    try:
        words = ["up", str(file), "-d", "--wait", "--json", "--runs", str(runs), *options]
        done = tenfold(*words, timeout_s=timeout_s, env=env)
        yield Up(done.seconds, json.loads(done.stdout))
    finally:
        end(runs)


def end(runs: Path) -> None:
    """End the newest run under `runs`, if one is up. None is left when this returns."""
    if not runs.exists():
        return
    with contextlib.suppress(RuntimeError):  # nothing is up: it has ended by itself
        tenfold("down", "--runs", runs, timeout_s=60)


def pss_mib(processes: Sequence[psutil.Process]) -> float:
    """Memory of processes in MiB, each page shared out among those that map it (PSS)."""
    total = 0
    for process in processes:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            for line in Path(f"/proc/{process.pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1])
    return total / 1024


def shell_script(jobs: Mapping[str, int], commands: Mapping[str, str]) -> str:
    """The shell script one would write: every task in the background, then wait for each port.

    `jobs` tells how many tasks, `commands` what each runs; a job without is a standard server.
    It says `all answer` when they do. For `alone`: the ports are always the same. Each task is a
    session of its own, as tenfold's are: Linux shares a busy processor out among sessions.
    """
    names = [(job, index) for job, count in jobs.items() for index in range(count)]
    ports = {name: _FIRST_PORT + place for place, name in enumerate(names)}
    spec = {job: [f"127.0.0.1:{ports[job, n]}" for n in range(jobs[job])] for job in jobs}
    server = f"{sys.executable} {TASKS / 'server.py'}"
    lines = []
    for job, index in names:
        config = json.dumps({"cluster": spec, "task": {"type": job, "index": index}})
        lines.append(f"TF_CONFIG='{config}' setsid {commands.get(job, server)} &")
    listening = [str(port) for (job, _), port in ports.items() if job not in commands]
    lines += [
        f"for port in {' '.join(listening)}; do",
        "  until (exec 3<>/dev/tcp/127.0.0.1/$port) 2>/dev/null; do sleep 0.05; done",
        "done",
        "echo all answer",
        "wait",
    ]
    return "\n".join(lines) + "\n"


def alone(argv: Sequence[str | Path]) -> list[str]:
    """`argv` in a new network with nothing but loopback, as tenfold's runs have one.

    TensorFlow's servers listen on every interface. Needs `unshare` and `ip`.
    """
    inside = 'ip link set lo up && exec "$@"'
    words = [str(word) for word in argv]
    return ["unshare", "--map-root-user", "--net", "sh", "-c", inside, "sh", *words]
