"""How fast a cluster file becomes a plan, from 10 to 100,000 tasks.

    python bench/plan.py [--quick] [--json FILE] [--repeats N]

Each repeat is a process of its own: once in Python (`load` and `plan`, without the import of
tenfold, which is given too), once as the whole command `tenfold plan --json`, start of the
interpreter and printing of the JSON included.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

from clusters import TENFOLD, environment, write_cluster
from measure import Bench, Case, Measured, arguments, command, run

SIZES = (10, 1_000, 10_000, 100_000)

_IN_PYTHON = """
import json, sys, time
begun = time.perf_counter()
from tenfold.cluster.file import load
from tenfold.planning.planner import plan
imported = time.perf_counter()
loaded = load(sys.argv[1])
read = time.perf_counter()
tasks = len(plan(loaded).tasks)
done = time.perf_counter()
times = {"import": imported - begun, "load": read - imported, "plan": done - read}
print(json.dumps({"tasks": tasks, **times, "load + plan": done - imported}))
"""


def write(directory: Path, tasks: int) -> Path:
    """A TensorFlow cluster of so many tasks: one in five is a ps, one is the chief."""
    ps = tasks // 5
    counts = {"chief": 1, "ps": ps, "worker": tasks - ps - 1}
    jobs = {name: {"tasks": count} for name, count in counts.items()}
    return write_cluster(directory, {"cluster": "p", "framework": "tensorflow", "jobs": jobs})


def in_python(file: Path, tasks: int) -> Iterator[Measured]:
    """`load` and `plan` in a fresh interpreter."""
    done = command([sys.executable, "-c", _IN_PYTHON, file], timeout_s=300, env=environment())
    times = json.loads(done.stdout)
    _agree(times.pop("tasks"), tasks)
    for metric, seconds in times.items():
        yield Measured(metric, "s", seconds)


def by_command(file: Path, tasks: int) -> Iterator[Measured]:
    """`tenfold plan --json`, from the return key to the prompt."""
    done = command([*TENFOLD, "plan", file, "--json"], timeout_s=300, env=environment())
    _agree(len(json.loads(done.stdout)["tasks"]), tasks)
    yield Measured("whole command", "s", done.seconds)
    yield Measured("JSON", "MB", len(done.stdout) / 1e6)


def _agree(told: int, tasks: int) -> None:
    if told != tasks:
        raise RuntimeError(f"the plan has {told} tasks, not {tasks}")


def compare(bench: Bench, tasks: int) -> None:
    """Both ways, for one size."""
    file = write(bench.home / str(tasks), tasks)
    bench.compare(
        Case(f"{tasks:,} tasks", lambda: in_python(file, tasks)),
        Case(f"{tasks:,} tasks: tenfold plan --json", lambda: by_command(file, tasks)),
    )


def measure(bench: Bench) -> None:
    """All sizes; the short form leaves out the largest."""
    for tasks in SIZES[:-1] if bench.quick else SIZES:
        compare(bench, tasks)


if __name__ == "__main__":
    sys.exit(run("plan", measure, arguments(__doc__).parse_args(), repeats=5, quick_repeats=2))
