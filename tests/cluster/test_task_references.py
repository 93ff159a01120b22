"""`${jobs.JOB.addresses.0}`: one address of a job, its host and its port."""

from __future__ import annotations

import pytest

from tenfold.cluster.file import loads
from tenfold.errors import InputError
from tenfold.planning.edges import planned
from tenfold.planning.late import bind
from tenfold.planning.planner import plan

FILE = """
cluster: c
framework: none
jobs:
  node: {{tasks: 3, run: [x, "{word}"]}}
  other: {{run: y}}
"""

ADDRESSES = {"node": ["10.0.0.1:70", "[fd00::1]:71", "h-2:72"], "other": ["10.0.0.9:90"]}


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("${jobs.node.addresses.0}", "10.0.0.1:70"),
        ("${jobs.node.addresses.1}", "[fd00::1]:71"),
        ("${jobs.node.hosts.1}", "fd00::1"),
        ("${jobs.node.hosts.2}:${jobs.node.ports.2}", "h-2:72"),
        ("a=${jobs.other.ports.0}", "a=90"),
        ("$${jobs.node.ports.9}", "${jobs.node.ports.9}"),
    ],
)
def test_one_task_of_a_job_can_be_named(word: str, value: str) -> None:
    task = plan(loads(FILE.format(word=word))).task("node/2")
    bound = bind(task, addresses=ADDRESSES, run_directory="/r", ports={})
    assert bound.command == ("x", value)


@pytest.mark.parametrize("kind", ["addresses", "hosts", "ports"])
@pytest.mark.parametrize(
    "place",
    [
        "run: [x, '%s']",
        "run: x %s",
        "{run: x, env: {A: '%s'}}",
        "{run: x, workdir: '/%s'}",
        "{run: x, ready: {log: '%s'}}",
        "{run: x, overrides: {0: {env: {A: '%s'}}}}",
        "{run: x, overrides: {0: {run: [x, '%s']}}}",
    ],
)
def test_a_task_that_the_job_has_not_is_a_fault(kind: str, place: str) -> None:
    job = place % f"${{jobs.node.{kind}.3}}"
    job = job if job.startswith("{") else f"\n      {job}"
    text = f"cluster: c\nframework: none\njobs:\n  node: {{tasks: 3, run: x}}\n  a: {job}\n"
    with pytest.raises(
        InputError, match=r"no task 3 in job .?node.? \(number of tasks: 3\)"
    ) as caught:
        loads(text)
    (fault,) = caught.value.faults
    assert fault.hint == "write a number from 0 to 2"
    assert fault.path.startswith("jobs.a.")
    assert fault.place is not None


def test_a_fault_in_the_environment_of_all() -> None:
    text = "env: {A: '${jobs.a.hosts.1}'}\ncluster: c\nframework: none\njobs: {a: {run: x}}"
    with pytest.raises(InputError, match=r"there is no task 1 in job .?a.?") as caught:
        loads(text)
    assert caught.value.faults[0].hint == "write 0, its only task"


@pytest.mark.parametrize(
    "name", ["jobs.node.addresses.x", "jobs.node.addresses.00", "jobs.no.hosts.0"]
)
def test_names_that_no_job_has_are_faults(name: str) -> None:
    with pytest.raises(InputError, match=r"there is no \$\{"):
        loads(FILE.format(word=f"${{{name}}}"))


def test_a_task_that_gets_one_address_is_expected_to_talk_to_that_task() -> None:
    found = planned(plan(loads(FILE.format(word="${jobs.other.addresses.0} ${jobs.node.hosts.0}"))))
    assert ("node/2", "other/0") in found.sure
    assert ("node/0", "node/2") in found.sure
    assert ("node/1", "node/2") not in found.sure
