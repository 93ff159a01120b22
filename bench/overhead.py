"""What supervision, captured logs and status cost a training.

    python bench/overhead.py [--quick] [--json FILE] [--repeats N]

A small training on 1 chief, 1 ps and 2 workers, by `tenfold up` and by a shell script with the
same TF_CONFIG, thread limits and kind of network: steps a second, and the CPU that tenfold's own
processes use (supervisor, gate, launch server, preload), with quiet logs and with chatty ones.
Since a start may be luckier than another, the supervision is also stopped (SIGSTOP) and let go on
in turn, within one run. Then: what it costs to watch who talks to whom, on 13 tasks that all talk
to each other; `tenfold up` to the first step of a training of one task, against the bare script;
and log lines a second (lines.py).
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from subprocess import DEVNULL, PIPE

import psutil

import lines
from clusters import (
    TASKS,
    TENFOLD,
    alone,
    environment,
    shell_script,
    tenfold,
    up,
    write_cluster,
)
from measure import Bench, Case, Measured, arguments, process, run
from pace import cpu_seconds
from tenfold.frameworks import framework

JOBS = {"chief": 1, "ps": 1, "worker": 2}
MESH = 13
SAMPLED = f"{MESH} tasks that all talk to each other, sampled once a second"
CHATTY = 100
"""Lines after each round of 20 steps."""

_START_S = 180.0
_WARM_S = 2.0


def training(record: Path, lines_a_round: int) -> str:
    """The chief's command line."""
    return f"{sys.executable} {TASKS / 'small_training.py'} {record} {lines_a_round}"


def steps(record: Path) -> tuple[float, int]:
    """(UNIX time, steps) of the newest round."""
    last = record.read_text(encoding="ascii").rstrip("\n").rpartition("\n")[2]
    when, done = last.split()
    return float(when), int(done)


def wait_for_steps(record: Path) -> None:
    """Wait until training goes, and a little more; raises TimeoutError."""
    deadline = time.monotonic() + _START_S
    while not record.exists() or record.stat().st_size == 0:
        if time.monotonic() > deadline:
            raise TimeoutError(f"no step in {_START_S:g} s")
        time.sleep(0.1)
    time.sleep(_WARM_S)


def rate(record: Path, seconds: float) -> float:
    """Steps a second over the coming `seconds`, or longer if no round ends in them."""
    begun, before = steps(record)
    deadline = time.monotonic() + seconds + _START_S
    time.sleep(seconds)
    while (newest := steps(record))[0] == begun:
        if time.monotonic() > deadline:
            raise TimeoutError("the training stands still")
        time.sleep(0.05)
    ended, after = newest
    return (after - before) / (ended - begun)


def by_hand(home: Path, lines_a_round: int, seconds: float) -> Iterator[Measured]:
    """The shell script: its output goes to a file."""
    home.mkdir(parents=True, exist_ok=True)
    record = home / "record"
    record.unlink(missing_ok=True)
    chief = {"chief": training(record, lines_a_round)}
    (home / "cluster.sh").write_text(shell_script(JOBS, chief), encoding="utf-8")
    cores = len(os.sched_getaffinity(0))
    same = framework("tensorflow").process_environment("chief", sum(JOBS.values()), cores)
    env = environment(**same, PYTHONUNBUFFERED="1") | environment()
    with (
        (home / "output").open("wb") as output,
        process(alone(["bash", "cluster.sh"]), cwd=home, env=env, stdout=output, stderr=output),
    ):
        wait_for_steps(record)
        yield Measured("step rate", "steps/s", rate(record, seconds))


def cluster(home: Path, lines_a_round: int) -> Path:
    """The same for tenfold; the record of its chief is `home`/record."""
    jobs: dict[str, object] = {job: {"tasks": count} for job, count in JOBS.items()}
    record = home / "record"
    jobs["chief"] = {"run": training(record, lines_a_round)}
    file = write_cluster(home, {"cluster": "small", "framework": "tensorflow", "jobs": jobs})
    record.unlink(missing_ok=True)
    return file


def by_tenfold(home: Path, lines_a_round: int, seconds: float) -> Iterator[Measured]:
    """A detached run: step rate, CPU of tenfold's own processes, lines they captured."""
    with up(cluster(home, lines_a_round)) as there:
        wait_for_steps(home / "record")
        log, own = there.directory / "tasks" / "chief-0" / "stdout.log", there.own()
        used, begun, size = cpu_seconds(own), time.monotonic(), log.stat().st_size
        yield Measured("step rate", "steps/s", rate(home / "record", seconds))
        passed = time.monotonic() - begun
        yield Measured("CPU of tenfold", "% of a core", 100 * (cpu_seconds(own) - used) / passed)
        captured = (log.stat().st_size - size) / passed
        yield Measured("log", "kB/s", captured / 1e3)
        yield Measured("tenfold ps", "s", tenfold("ps", "--runs", home / "runs").seconds)


def in_turn(home: Path, turns: int, seconds: float) -> Iterator[Measured]:
    """One run: supervision stopped, then going on, and so forth; a ratio of step rates a turn."""
    with up(cluster(home, 0)) as there:
        wait_for_steps(home / "record")
        own = there.own()
        for _ in range(turns):
            stopped = _rate_while_stopped(own, home / "record", seconds)
            going = rate(home / "record", seconds)
            yield Measured("step rate", "× of that without", going / stopped)


def _rate_while_stopped(own: Sequence[psutil.Process], record: Path, seconds: float) -> float:
    try:
        for one in own:
            one.send_signal(signal.SIGSTOP)
        return rate(record, seconds)
    finally:
        for one in own:
            one.send_signal(signal.SIGCONT)


def training_cases(bench: Bench, seconds: float) -> None:
    """By hand and by tenfold, quiet and chatty, alternating."""
    cases = []
    for logs, count in (("quiet", 0), ("chatty", CHATTY)):
        for way, measured in (("by hand", by_hand), ("tenfold", by_tenfold)):
            home = bench.home / f"{logs}-{way.replace(' ', '-')}"
            name = f"training, {logs} logs: {way}"
            cases.append(Case(name, partial(measured, home, count, seconds)))
    bench.compare(*cases)
    for logs in ("quiet", "chatty"):
        name = f"training, {logs} logs"
        bench.ratio(
            f"{name}: tenfold / by hand", f"{name}: tenfold", f"{name}: by hand", "step rate"
        )


def talking(home: Path, seconds: float) -> Iterator[Measured]:
    """Tasks that all talk to each other: CPU of the supervisor, which samples them."""
    command = f"{sys.executable} {TASKS / 'mesh.py'} ${{jobs.peer.addresses}}"
    jobs = {"peer": {"tasks": MESH, "run": command, "ready": "tcp"}}
    with up(write_cluster(home, {"cluster": "mesh", "framework": "none", "jobs": jobs})) as there:
        time.sleep(_WARM_S)
        own = there.own()
        used, begun = cpu_seconds(own), time.monotonic()
        time.sleep(seconds)
        share = 100 * (cpu_seconds(own) - used) / (time.monotonic() - begun)
        yield Measured("CPU of tenfold", "% of a core", share)
        edges = json.loads(tenfold("map", "--json", "--runs", home / "runs").stdout)["edges"]
        yield Measured("edges seen", "edges", sum(edge["bytes"] > 0 for edge in edges))


def first_step(argv: Sequence[str | Path], home: Path) -> Iterator[Measured]:
    """A command until it shows `first step`."""
    begun = time.monotonic()
    with process(argv, cwd=home, env=environment(), stdout=PIPE, stderr=DEVNULL) as started:
        assert started.stdout is not None
        for line in started.stdout:
            if "first step" in line:
                yield Measured("time", "s", time.monotonic() - begun)
                started.wait(60)
                return
    raise RuntimeError("it took no step")


def first_steps(bench: Bench) -> None:
    """A training of one task, typed and brought up."""
    script = TASKS / "first_step.py"
    jobs = {"chief": {"run": f"{sys.executable} {script}"}}
    file = write_cluster(
        bench.home / "first", {"cluster": "first", "framework": "tensorflow", "jobs": jobs}
    )
    ours: list[str | Path] = [*TENFOLD, "up", file, "--runs", file.parent / "runs"]
    name = "one task to its first step"
    list(first_step([sys.executable, script], file.parent))  # now all files are in memory
    bench.compare(
        Case(f"{name}: bare", lambda: first_step([sys.executable, script], file.parent)),
        Case(f"{name}: tenfold up", lambda: first_step(ours, file.parent)),
    )
    bench.difference(
        f"{name}: tenfold up − bare", f"{name}: tenfold up", f"{name}: bare", "time", "s"
    )


def measure(bench: Bench) -> None:
    """All of it."""
    first_steps(bench)
    training_cases(bench, 4.0 if bench.quick else 8.0)
    turns, seconds = (2, 2.0) if bench.quick else (10, 2.0)
    name = "training, supervision stopped and continued in turn"
    bench.compare(Case(name, lambda: in_turn(bench.home / "turns", turns, seconds)), repeats=1)
    bench.compare(
        Case(SAMPLED, partial(talking, bench.home / "mesh", 8.0 if bench.quick else 20.0))
    )
    total = 200_000 if bench.quick else 1_000_000
    for tasks, how in ((1, "blocks"), (8, "blocks"), (8, "lines")):
        lines.compare(bench, tasks, total, how)


if __name__ == "__main__":
    sys.exit(run("overhead", measure, arguments(__doc__).parse_args(), repeats=3))
