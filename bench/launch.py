"""How fast a cluster is there, and what it costs in memory.

    python bench/launch.py [--quick] [--json FILE] [--repeats N]

A cluster of TensorFlow standard servers (chief, ps, workers), in three ways: `tenfold up -d --wait`
with the launch server, the same with `preload: none` (one interpreter each, all else the same), and
a shell script with TF_CONFIG, written by hand. The clock runs over the whole command until every
server answers; `import tensorflow` in a fresh interpreter, in the same round, is the unit. Memory
is the PSS of all processes: pages that several share are counted once.

Then 200 trivial tasks without a framework, against honcho: until all have printed a line.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from subprocess import DEVNULL, PIPE, Popen
from typing import Any

import psutil

from clusters import (
    TENFOLD,
    Up,
    alone,
    environment,
    pss_mib,
    shell_script,
    tenfold,
    tree,
    up,
    write_cluster,
)
from measure import Bench, Case, Measured, arguments, command, process, run

JOBS = {
    2: {"chief": 1, "worker": 1},
    5: {"chief": 1, "ps": 1, "worker": 3},
    13: {"chief": 1, "ps": 4, "worker": 8},
    32: {"chief": 1, "ps": 8, "worker": 23},
    64: {"chief": 1, "ps": 16, "worker": 47},
}
"""Clusters by their number of tasks."""

MIB_EACH = 330
"""What a process that has imported TensorFlow and serves takes for itself, about."""

MOST_EACH = 32
"""More interpreters than this are not started one by one: it takes minutes."""

_LONGEST_S = 600.0
_IMPORT = "import tensorflow"
_ANSWERS = """
import socket, sys
for address in sys.argv[1:]:
    host, _, port = address.rpartition(":")
    socket.create_connection((host, int(port)), 10).close()
"""


def cluster(tasks: int, **job: Any) -> dict[str, Any]:
    """A cluster file of `tasks` standard servers; `job` is added to each job."""
    jobs = {name: {"tasks": count, **job} for name, count in JOBS[tasks].items()}
    return {"cluster": f"launch-{tasks}", "framework": "tensorflow", "jobs": jobs}


def import_tensorflow() -> Iterator[Measured]:
    """The unit: one import in a fresh interpreter."""
    done = command([sys.executable, "-c", _IMPORT], timeout_s=120, env=environment())
    yield Measured("time", "s", done.seconds)


def by_tenfold(file: Path) -> Iterator[Measured]:
    """The whole command, and the memory of everything below the supervisor."""
    with up(file) as there:
        memory = pss_mib(there.processes())
        check_answers(there, file.parent / "runs")
        yield Measured("time", "s", there.seconds)
        yield Measured("memory", "MiB", memory)


def check_answers(there: Up, runs: Path) -> None:
    """Raise RuntimeError unless every task's port really accepts connections."""
    first = there.status["tasks"][0]["task"]
    python = (sys.executable, "-c", _ANSWERS)
    tenfold("exec", "--runs", runs, first, "--", *python, *there.addresses, timeout_s=60)


def by_script(home: Path, tasks: int) -> Iterator[Measured]:
    """The shell script until it says that all answer, and the memory of all it started."""
    home.mkdir(parents=True, exist_ok=True)
    (home / "servers.sh").write_text(shell_script(JOBS[tasks], {}), encoding="utf-8")
    begun = time.monotonic()
    argv = alone(["bash", "servers.sh"])
    with process(argv, cwd=home, env=environment(), stdout=PIPE, stderr=DEVNULL) as started:
        seconds = until(started, lambda line: "all answer" in line, 1) - begun
        yield Measured("time", "s", seconds)
        yield Measured("memory", "MiB", pss_mib(tree(started.pid)))


def until(started: Popen[str], wanted: Callable[[str], bool], count: int) -> float:
    """Read until `count` wanted lines have come; the time of the last one.

    Raises RuntimeError if it ends before, or is not done after a long time; it is killed then.
    """
    assert started.stdout is not None
    late = threading.Timer(_LONGEST_S, os.killpg, (started.pid, signal.SIGKILL))
    late.start()
    try:
        for line in started.stdout:
            count -= wanted(line)
            if count == 0:
                return time.monotonic()
    finally:
        late.cancel()
    raise RuntimeError(f"it ended with {count} lines missing")


def trivial(argv: Sequence[str | Path], home: Path, tasks: int) -> Iterator[Measured]:
    """A process manager, until each of its tasks has printed a line; then it is stopped."""
    begun = time.monotonic()
    with process(argv, cwd=home, env=environment(), stdout=PIPE, stderr=DEVNULL) as started:
        yield Measured("time", "s", until(started, lambda line: "begun" in line, tasks) - begun)
        yield Measured("memory", "MiB", pss_mib(tree(started.pid)))
        stopping = time.monotonic()
        started.terminate()
        started.communicate(timeout=60)
        yield Measured("time to stop", "s", time.monotonic() - stopping)


def against_honcho(bench: Bench, tasks: int) -> None:
    """Trivial tasks: a line, then nothing."""
    trivially = "sh -c 'echo begun; exec sleep 600'"
    jobs = {"t": {"tasks": tasks, "run": trivially}}
    file = write_cluster(bench.home / "trivial", {"cluster": "trivial", "jobs": jobs})
    (file.parent / "Procfile").write_text("t: echo begun; exec sleep 600\n")
    ours: list[str | Path] = [*TENFOLD, "up", file, "--runs", file.parent / "runs"]
    theirs = [sys.executable, "-m", "honcho", "start", "-c", f"t={tasks}"]
    name = f"{tasks} trivial tasks"
    bench.compare(
        Case(f"{name}: tenfold", lambda: trivial(ours, file.parent, tasks)),
        Case(f"{name}: honcho", lambda: trivial(theirs, file.parent, tasks)),
    )
    bench.ratio(f"{name}: honcho / tenfold", f"{name}: honcho", f"{name}: tenfold", "time")


def servers(bench: Bench, tasks: int, *, repeats: int, slow_repeats: int) -> None:
    """All ways to start so many servers; the slow ones at most `slow_repeats` times."""
    name = f"{tasks} servers"
    ours, each, by_hand, unit = (
        f"{name}: {way}"
        for way in ("tenfold", "one process each", "shell script", "one import tensorflow")
    )
    shared = write_cluster(bench.home / f"shared-{tasks}", cluster(tasks))
    apart = write_cluster(bench.home / f"apart-{tasks}", cluster(tasks, preload="none"))
    cases = [Case(unit, import_tensorflow), Case(ours, lambda: by_tenfold(shared))]
    if why := too_slow(tasks):
        bench.leave_out(each, why)
        bench.leave_out(by_hand, why)
    else:
        home = bench.home / f"script-{tasks}"
        cases += [
            Case(each, lambda: by_tenfold(apart), slow_repeats),
            Case(by_hand, lambda: by_script(home, tasks), slow_repeats),
        ]
    bench.compare(*cases, repeats=repeats)
    bench.ratio(f"{name}: tenfold / one import", ours, unit, "time")
    bench.ratio(f"{name}: one process each / tenfold", each, ours, "time")
    bench.ratio(f"{name}: shell script / tenfold", by_hand, ours, "time")
    bench.ratio(f"{name}: tenfold / one process each, memory", ours, each, "memory")


def too_slow(tasks: int) -> str | None:
    """Why so many interpreters are not started one by one here; None if they are."""
    free_mib = psutil.virtual_memory().available / 2**20
    if tasks > MOST_EACH:
        return f"left out: {tasks} imports of TensorFlow take minutes on this machine"
    if tasks * MIB_EACH > free_mib / 2:
        return f"left out: needs about {tasks * MIB_EACH:,} MiB, {free_mib:,.0f} are free"
    return None


def measure(bench: Bench) -> None:
    """The 13 servers of the talk first; other sizes less often."""
    against_honcho(bench, 50 if bench.quick else 200)
    list(import_tensorflow())  # now all its files are in memory, whoever comes first
    servers(bench, 13, repeats=bench.repeats, slow_repeats=min(bench.repeats, 3))
    for tasks in () if bench.quick else (5, 32, 64):
        servers(bench, tasks, repeats=min(bench.repeats, 3), slow_repeats=1)


if __name__ == "__main__":
    sys.exit(run("launch", measure, arguments(__doc__).parse_args(), repeats=5))
