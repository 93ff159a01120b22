"""Silent edges and used cores, out of samples."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tenfold.debug.accounts import Silence, cores, silences
from tenfold.planning.plan import Plan, Task
from tenfold.run.rundir import RunDirectory, create
from tests.plans import plan_of, shell

T = 1000.0


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    made = create(tmp_path, "c")
    for label in ("ps-0", "worker-0", "worker-1", "chief-0"):
        made.task(label).path.mkdir()
    return made


def talkers() -> Plan:
    """Two workers that have the address of ps/0, and a chief that has nobody's."""
    workers = [shell(f"worker/{n}", "talk ${jobs.ps.addresses}") for n in range(2)]
    return plan_of(shell("chief", "true"), shell("ps", "listen"), *workers)


def write(path: Path, *samples: dict[str, object]) -> None:
    path.write_text("".join(json.dumps(sample) + "\n" for sample in samples))


def traffic(at: float, **sent: int) -> dict[str, object]:
    return {"time": at, "peers": {k.replace("_", "/"): [n, 0, 1, 1] for k, n in sent.items()}}


def names(plan: Plan) -> list[str]:
    return [task.name for task in plan.tasks]


def test_how_long_an_edge_is_silent(run: RunDirectory) -> None:
    samples = [traffic(T, ps_0=5), traffic(T + 1, ps_0=9), traffic(T + 7, ps_0=9, chief_0=1)]
    write(run.task("worker-0").traffic, *samples)
    write(run.task("worker-0").usage, {"time": T + 31, "cpu_s": 1.0})
    plan = talkers()
    assert silences(run, plan, names(plan)) == [
        Silence("ps/0", "worker/0", 30.0),
        Silence("ps/0", "worker/1", None),
    ]
    assert silences(run, plan, ["ps/0", "worker/1"]) == [Silence("ps/0", "worker/1", None)]


def test_the_later_of_two_reported_times_counts(run: RunDirectory) -> None:
    for label, peer, last in (("worker-0", "ps_0", 3.0), ("ps-0", "worker_0", 8.0)):
        write(run.task(label).traffic, traffic(T, **{peer: 1}), traffic(T + last, **{peer: 2}))
        write(run.task(label).usage, {"time": T + 10, "cpu_s": 1.0})
    assert silences(run, talkers(), ["ps/0", "worker/0"])[0].seconds == 2.0


@pytest.mark.parametrize("text", ["", "nonsense\n", '{"time": 5}\n', '{"time": 5, "peers": [1]}\n'])
def test_damage_is_silence(run: RunDirectory, text: str) -> None:
    run.task("worker-0").traffic.write_text(text)
    assert silences(run, talkers(), ["ps/0", "worker/0"])[0].seconds is None


def test_cores_of_the_last_seconds(run: RunDirectory) -> None:
    used: list[dict[str, object]] = [{"time": T + n, "cpu_s": 0.5 * n} for n in range(60)]
    write(run.task("worker-0").usage, *used)
    write(run.task("worker-1").usage, {"time": T, "cpu_s": 3.0})
    assert cores(run, ["worker/0", "worker/1", "chief/0"]) == {"worker/0": 0.5}


def test_a_task_alone_has_no_edges(run: RunDirectory) -> None:
    plan = plan_of(Task(job="chief", index=0, command=("true",)))
    assert silences(run, plan, ["chief/0"]) == []
