"""Plans beside what is here."""

from __future__ import annotations

import socket
import sys
from typing import Any

import pytest

from tenfold.cells.docker import doctor as docker
from tenfold.cells.docker.fit import container_gpus, images
from tenfold.cells.probing.findings import Finding, Room
from tenfold.doctor.fit import fits, local_room, needed_memory, starts
from tenfold.doctor.machine import GIB, Machine
from tenfold.frameworks import framework
from tenfold.planning.plan import Plan, Task
from tests.plans import plan_of, shell

HERE = Machine(cores=2.0, all_cores=2, memory=4 * GIB, available=3 * GIB, limited=False, files=4096)
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="tasks are forked on Linux only")


def python(name: str, **more: Any) -> Task:
    job, _, index = name.partition("/")
    return Task(job=job, index=int(index or 0), command=("python", "train.py"), **more)


def tensorflow(*tasks: Task, **more: Any) -> Plan:
    return plan_of(*tasks, framework="tensorflow", **more)


def by_name(found: list[Finding]) -> dict[str, Finding]:
    assert {finding.area for finding in found} <= {"file"}
    return {finding.name: finding for finding in found}


def test_a_plan_without_requests_is_checked_for_cores_only() -> None:
    found = by_name(fits(plan_of(shell("a", "")), local_room(HERE, 0)))
    assert found.keys() == {"cores"}
    assert (found["cores"].state, found["cores"].message) == ("ok", "1 task, 2 of this machine")


def test_more_cores_than_available_are_a_warning() -> None:
    tasks = [shell(f"a/{n}", "", cpu=0.5) for n in range(3)]
    found = by_name(fits(plan_of(*tasks), Room("there", cores=1.5)))["cores"]
    assert (found.state, found.message) == ("ok", "1.5 of the 1.5 of there")
    found = by_name(fits(plan_of(*tasks), Room("there", cores=1.0)))["cores"]
    assert found.state == "warning"
    assert found.message == "the tasks request 1.5 cores, there has 1: they share them"
    assert found.hint == "use fewer tasks: --set jobs.a.tasks=1"


def test_requested_memory_is_compared_with_the_machine() -> None:
    plan = plan_of(*(shell(f"a/{n}", "", memory=2 * GIB) for n in range(2)))
    found = by_name(fits(plan, local_room(HERE, 0)))["memory"]
    assert found.state == "warning"
    assert found.message == "the tasks request 4.0 GiB; this machine has 3.0 GiB free"
    assert by_name(fits(plan, Room("there", memory=4 * GIB)))["memory"].state == "ok"
    assert "memory" not in by_name(fits(plan, Room("there")))


@LINUX
def test_memory_of_the_framework_is_paid_once_where_tasks_are_forked() -> None:
    cost = framework("tensorflow").memory
    assert cost is not None
    tasks = [python(f"worker/{n}") for n in range(8)]
    need, words = needed_memory(tensorflow(*tasks))
    assert need == cost.first + 8 * cost.forked
    assert words.startswith("tensorflow needs about ")
    assert needed_memory(tensorflow(*tasks, cell="slurm"))[0] == cost.first + 7 * cost.more
    alone = [python(f"worker/{n}", preload=()) for n in range(8)]
    assert needed_memory(tensorflow(*alone))[0] == cost.first + 7 * cost.more
    mixed = tensorflow(*tasks[:2], *alone[2:4])
    assert needed_memory(mixed)[0] == cost.first + 2 * cost.forked + 2 * cost.more


def test_a_memory_request_of_a_task_is_used_as_given() -> None:
    plan = tensorflow(python("a", memory=GIB), shell("b", ""))
    assert needed_memory(plan) == (GIB, "the tasks request 1.0 GiB")
    page = Task("tensorboard", 0, (sys.executable, "-m", "x"), service=True, preload=())
    assert needed_memory(tensorflow(page)) == (0, "")


def test_more_gpus_than_available_are_a_warning() -> None:
    plan = plan_of(shell("a", "", gpu=2))
    found = by_name(fits(plan, local_room(HERE, 2)))["gpus"]
    assert (found.state, found.message) == ("ok", "2 of the 2 of this machine")
    found = by_name(fits(plan, local_room(HERE, 0)))["gpus"]
    assert found.state == "warning"
    assert found.message.startswith("the tasks request 2 GPUs, this machine has none")


def test_problems_that_prevent_a_start_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    assert starts(plan_of(shell("a", "")), HERE) == []
    with socket.create_server(("", 0)) as taken:
        port = taken.getsockname()[1]
        plan = plan_of(shell("a", "", ports={"web": port}, network="host"))
        found = by_name(starts(plan, HERE))["ports"]
    assert (found.state, found.message) == ("broken", f"a/0: port {port} is taken on this machine")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    found = by_name(starts(tensorflow(Task("a", 0, (sys.executable, "t.py"))), HERE))["packages"]
    assert found.state == "missing"
    assert "install 'tenfold[tensorflow]'" in (found.hint or "")


def test_too_few_open_files() -> None:
    plan = plan_of(*(shell(f"a/{n}", "") for n in range(1000)))
    found = by_name(starts(plan, HERE))["open files"]
    assert found.state == "broken"
    assert found.message == "1000 tasks need 11,040 open files, 4,096 are allowed"


def test_a_missing_image_is_a_warning_unless_it_is_built(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = {"here:1": True, "away:1": False, "silent:1": None, "made:1": False}
    monkeypatch.setattr(docker, "has_image", answers.get)

    def states(*names: str, **more: Any) -> list[tuple[str, str | None]]:
        tasks = [shell(f"a/{n}", "", image=name) for n, name in enumerate(names)]
        return [(found.state, found.hint) for found in images(plan_of(*tasks, **more))]

    assert states("here:1", "here:1") == [("ok", None)]
    assert states("away:1", "silent:1") == [("warning", "docker pull away:1"), ("warning", None)]
    assert states("made:1", image="made:1", build={"context": "."}) == [("ok", None)]
    assert images(plan_of(shell("a", ""))) == []


def test_gpus_for_containers(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = plan_of(shell("a", "", gpu=1))
    for answer, states in ((True, []), (None, []), (False, ["broken"])):
        monkeypatch.setattr(docker, "knows_gpus", lambda answer=answer: answer)
        assert [found.state for found in container_gpus(plan)] == states
    assert container_gpus(plan_of(shell("a", ""))) == []
