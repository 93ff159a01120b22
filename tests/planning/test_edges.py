"""Who is to talk to whom, framework by framework."""

from __future__ import annotations

import pytest

from tenfold.planning.edges import CutOff, Edge, cut_off, planned
from tenfold.planning.plan import Plan, Task
from tests.plans import plan_of


def _plan(framework: str, **jobs: int) -> Plan:
    tasks = [
        Task(job=job, index=n, command=("x",)) for job, many in jobs.items() for n in range(many)
    ]
    return plan_of(*tasks, framework=framework)


def test_parameter_servers_and_workers_and_their_chief() -> None:
    found = planned(_plan("tensorflow", chief=1, ps=2, worker=3, tensorboard=1))
    assert len(found.sure) == 2 + 3 + 6
    assert {("chief/0", "ps/1"), ("chief/0", "worker/2"), ("ps/1", "worker/0")} <= found.sure
    assert ("worker/0", "worker/1") not in found.sure
    assert ("worker/0", "worker/1") in found  # a greeting is no cause for alarm
    assert ("chief/0", "tensorboard/0") not in found
    assert ("worker/0", "outside:1.2.3.4") not in found


def test_edges_are_in_the_order_of_the_plan() -> None:
    found = planned(_plan("tensorflow", worker=1, ps=1, chief=1))
    assert found.sure == {("worker/0", "ps/0"), ("worker/0", "chief/0"), ("ps/0", "chief/0")}


def test_a_notebook_may_be_the_chief() -> None:
    found = planned(_plan("tensorflow", ps=1, worker=1, jupyter=1))
    assert found.sure == {("ps/0", "worker/0")}
    assert ("ps/0", "jupyter/0") in found
    assert ("worker/0", "jupyter/0") in found


@pytest.mark.parametrize("framework", ["tensorflow", "torch", "jax"])
def test_equals_meet_at_the_first(framework: str) -> None:
    found = planned(_plan(framework, worker=4))
    assert found.sure == {("worker/0", f"worker/{n}") for n in (1, 2, 3)}
    assert ("worker/1", "worker/2") in found


@pytest.mark.parametrize("framework", ["torch", "jax"])
def test_another_job_is_a_separate_group(framework: str) -> None:
    found = planned(_plan(framework, chief=1, worker=1, fetch=2, tensorboard=1))
    assert found.sure == {("chief/0", "worker/0"), ("fetch/0", "fetch/1")}
    assert ("chief/0", "fetch/0") not in found


def test_commands_are_expected_to_talk_to_the_jobs_they_reference() -> None:
    asks = Task(job="client", index=0, command=("x", "--peers=${jobs.ps.addresses}"))
    tells = Task(job="other", index=0, command=("x",), env={"PEERS": "${ jobs.client.addresses }"})
    servers = [Task(job="ps", index=n, command=("x",)) for n in range(2)]
    found = planned(plan_of(asks, tells, *servers))
    assert found.sure == {
        ("client/0", "ps/0"), ("client/0", "ps/1"), ("client/0", "other/0"),
    }  # fmt: skip


def test_no_traffic_is_expected_without_a_framework() -> None:
    found = planned(_plan("none", a=2, b=2))
    assert found.sure == frozenset()
    assert ("a/0", "b/0") not in found


def test_a_thousand_tasks_are_planned_without_all_their_pairs() -> None:
    found = planned(_plan("tensorflow", chief=1, ps=20, worker=980))
    assert len(found.sure) == 20 + 980 + 20 * 980
    assert ("worker/0", "worker/979") in found


def _star(*cut: Edge) -> dict[Edge, bool]:
    """The edges of a chief, two ps and two workers, with those that are cut."""
    found = planned(_plan("tensorflow", chief=1, ps=2, worker=2))
    return {edge: edge in cut for edge in sorted(found.sure)}


PS_0 = (("chief/0", "ps/0"), ("ps/0", "worker/0"), ("ps/0", "worker/1"))
PS_1 = (("chief/0", "ps/1"), ("ps/1", "worker/0"), ("ps/1", "worker/1"))


@pytest.mark.parametrize(
    ("edges", "off", "others"),
    [
        (_star(), None, ()),
        ({}, None, ()),
        (_star(*PS_0), ("ps/0",), ("chief/0", "worker/0", "worker/1")),
        (_star(*PS_0, *PS_1), ("ps/0", "ps/1"), ("chief/0", "worker/0", "worker/1")),
        (_star(PS_0[1]), ("ps/0",), ("worker/0",)),  # one edge: one side of it
        (dict.fromkeys((*PS_0, *PS_1), True), ("ps/0", "ps/1"),
         ("chief/0", "worker/0", "worker/1")),
        ({("a/0", "b/0"): True}, ("a/0",), ("b/0",)),
        ({("a/0", "b/0"): True, ("a/0", "b/1"): True}, ("a/0",), ("b/0", "b/1")),
        ({("a/0", "b/0"): True, ("a/1", "b/0"): True}, ("b/0",), ("a/0", "a/1")),
        ({("a/0", "a/1"): True, ("a/1", "a/2"): True, ("a/0", "a/2"): True}, ("a/0", "a/1"),
         ("a/2",)),
    ],
)  # fmt: skip
def test_the_fewest_tasks_that_explain_all_cut_edges_are_cut_off(
    edges: dict[Edge, bool], off: tuple[str, ...] | None, others: tuple[str, ...]
) -> None:
    assert cut_off(edges) == (CutOff(off, others) if off else None)


def test_tasks_that_are_cut_off_are_named_in_one_sentence() -> None:
    two = CutOff(("ps/0", "ps/1"), ("chief/0", "worker/0", "worker/1"))
    assert two.words == (
        "ps/0-1 are cut off: what they and chief/0, worker/0-1 send each other is not acknowledged"
    )
    assert two.of("ps/1") == (
        "is cut off (and ps/0): what is sent between it and chief/0, worker/0-1 is not acknowledged"
    )
    assert CutOff(("ps/0",), ("worker/0",)).words.startswith(
        "ps/0 is cut off: what it and worker/0"
    )
