"""Replays of runs that hang: what the policy reports, restarts and stops, as tables."""

from __future__ import annotations

import signal
from dataclasses import dataclass, field
from typing import Literal

import pytest

from tenfold.planning.plan import HangPolicy, RestartPolicy
from tenfold.supervise.reconcile import Actions
from tenfold.supervise.state import Hung
from tests.supervise.histories import History, signalled, started, task

TERM, KILL = signal.SIGTERM, signal.SIGKILL

ALONE = RestartPolicy("on-failure", limit=2, backoff_s=0.0, window_s=100.0)
GROUP = RestartPolicy("on-failure", limit=2, backoff_s=0.0, window_s=100.0, scope="cluster")


def training(action: Literal["report", "restart", "stop"], rule: RestartPolicy) -> History:
    """A chief and two workers that run, and a board beside the training."""
    history = History(
        task("chief", restart=rule),
        task("worker/0", restart=rule),
        task("worker/1", restart=rule),
        task("board", member=False, needed=False),
        grace_s=10.0,
    )
    object.__setattr__(history.state.plan, "hang", HangPolicy(5.0, action))
    history.step(0.0)
    history.step(0.0)
    assert history.state.phase == "running"
    return history


def hangs(history: History, culprit: str | None, at: float) -> Actions:
    """The watch finds a hang; gives what the next step wants."""
    history.state.observe_hang(Hung("no progress for 5 s", culprit, "/r/report.txt"), at)
    return history.step(at)


def restarted(actions: Actions) -> list[list[str]]:
    """Of each report, whom it restarts."""
    return [[state.task.name for state in report.restarted] for report in actions.hangs]


@dataclass(frozen=True)
class Case:
    """A hang in a running training, and what follows at once."""

    action: Literal["report", "restart", "stop"]
    culprit: str | None
    rule: RestartPolicy = ALONE
    restarted: list[str] = field(default_factory=list)
    signalled: list[str] = field(default_factory=list)
    reason: str | None = None


EVERYBODY = ["chief/0", "worker/0", "worker/1", "board/0"]
MEMBERS = EVERYBODY[:3]


@pytest.mark.parametrize(
    "case",
    [
        Case("report", "worker/0"),
        Case("report", None),
        Case("restart", "worker/0", ALONE, ["worker/0"], ["worker/0"]),
        Case("restart", "worker/0", GROUP, ["worker/0", "chief/0", "worker/1"], MEMBERS),
        Case("restart", None, ALONE, MEMBERS, MEMBERS),
        Case("restart", "board/0", ALONE, ["board/0"], ["board/0"]),
        Case("stop", "worker/0", ALONE, [], EVERYBODY, "hung: no progress for 5 s"),
        Case("stop", None, GROUP, [], EVERYBODY, "hung: no progress for 5 s"),
    ],
    ids=lambda case: f"{case.action} {case.culprit} {case.rule.scope}",
)
def test_the_policy_reports_restarts_or_stops_what_hangs(case: Case) -> None:
    history = training(case.action, case.rule)
    actions = hangs(history, case.culprit, 20.0)
    assert restarted(actions) == [case.restarted]
    assert signalled(actions) == [(name, TERM) for name in case.signalled]
    assert history.state.reason == case.reason
    assert history.state.outcome == (None if case.reason is None else "failed")
    assert history.state.hang is not None, "status.json shows it"


def test_a_restarted_task_uses_up_one_restart() -> None:
    history = training("restart", GROUP)
    hangs(history, "worker/0", 20.0)
    for name in MEMBERS:
        history.ends(name, None, TERM)
    assert started(history.step(21.0)) == MEMBERS
    assert [history.state.tasks[name].retried for name in MEMBERS] == [[], [20.0], []]
    assert [history.state.tasks[name].restarts for name in MEMBERS] == [1, 1, 1]
    assert history.state.deaths == []


def test_a_stopped_task_is_killed_after_the_grace_and_then_restarted() -> None:
    history = training("restart", ALONE)
    assert signalled(hangs(history, "worker/0", 20.0)) == [("worker/0", TERM)]
    assert signalled(history.step(29.9)) == []
    assert signalled(history.step(30.0)) == [("worker/0", KILL)]
    history.ends("worker/0", None, KILL)
    assert started(history.step(31.0)) == ["worker/0"]
    assert history.state.stop_since is None


def test_progress_ends_the_hang_and_changes_nothing_else() -> None:
    history = training("restart", ALONE)
    hangs(history, "worker/0", 20.0)
    history.state.observe_hang(None, 21.0)
    actions = history.step(21.0)
    assert [report.news.hung for report in actions.hangs] == [None]
    assert restarted(actions) == [[]]
    assert history.state.hang is None
    history.ends("worker/0", None, TERM)
    assert started(history.step(22.0)) == ["worker/0"], "the restart goes through"


def test_a_hang_and_its_end_in_one_step_are_both_reported() -> None:
    history = training("report", ALONE)
    history.state.observe_hang(Hung("no progress for 5 s", None, None), 20.0)
    history.state.observe_hang(None, 20.1)
    actions = history.step(20.2)
    assert [report.news.time for report in actions.hangs] == [20.0, 20.1]
    assert history.state.hang is None


@pytest.mark.parametrize("action", ["report", "restart", "stop"])
def test_a_hang_is_not_reported_while_the_run_stops(
    action: Literal["report", "restart", "stop"],
) -> None:
    history = training(action, ALONE)
    history.state.ask_stop("down", 19.0)
    history.step(19.0)
    actions = hangs(history, "worker/0", 20.0)
    assert (actions.hangs, actions.signals) == ([], [])
    assert (history.state.hang, history.state.reason) == (None, "down")
    assert history.state.tasks["worker/0"].retried == []


def test_a_hang_that_was_reported_stays_in_the_status_of_a_run_that_stops() -> None:
    history = training("report", ALONE)
    hangs(history, "worker/0", 20.0)
    history.state.ask_stop("down", 21.0)
    history.state.observe_hang(None, 22.0)
    history.step(22.0)
    assert history.state.hang is not None


@pytest.mark.parametrize("rule", [ALONE, GROUP], ids=["alone", "group"])
def test_a_culprit_that_has_ended_is_left_to_the_restart_policy(rule: RestartPolicy) -> None:
    history = training("restart", rule)
    history.now = 20.0
    history.ends("worker/0", None, KILL)
    actions = hangs(history, "worker/0", 20.0)
    assert restarted(actions) == [[]]
    assert [retry.task.task.name for retry in actions.retried] == ["worker/0"]
    assert history.state.tasks["worker/0"].retried == [20.0]


@pytest.mark.parametrize(
    ("rule", "first", "second"),
    [
        (ALONE, "worker/0", "worker/0"),
        (GROUP, "worker/0", "worker/0"),
        (GROUP, "worker/0", "chief/0"),
        (GROUP, "worker/0", None),
        (ALONE, None, None),
        (ALONE, None, "worker/1"),
    ],
)
def test_a_hang_during_a_restart_is_reported_and_uses_up_nothing(
    rule: RestartPolicy, first: str | None, second: str | None
) -> None:
    history = training("restart", rule)
    hangs(history, first, 20.0)
    spent = sum(len(state.retried) for state in history.state.tasks.values())
    actions = hangs(history, second, 26.0)
    assert restarted(actions) == [[]]
    assert actions.signals == []
    assert sum(len(state.retried) for state in history.state.tasks.values()) == spent == 1
    assert history.state.outcome is None


def test_a_hang_of_another_task_during_a_restart_restarts_that_task_too() -> None:
    history = training("restart", ALONE)
    hangs(history, "worker/0", 20.0)
    actions = hangs(history, "worker/1", 21.0)
    assert restarted(actions) == [["worker/1"]]
    assert signalled(actions) == [("worker/1", TERM)]


def test_the_restarts_of_hangs_and_failures_share_one_budget() -> None:
    history = training("restart", ALONE)
    history.now = 10.0
    history.ends("worker/0", 1)
    history.step(10.0)
    history.step(11.0)
    hangs(history, "worker/0", 20.0)
    history.ends("worker/0", None, TERM)
    history.step(21.0)
    assert history.state.outcome is None
    hangs(history, "worker/0", 30.0)
    assert history.state.reason == "hung, and all restarts are used up: no progress for 5 s"


def test_restarts_outside_the_window_are_not_counted() -> None:
    history = training("restart", ALONE)
    for at in (20.0, 40.0, 130.0, 150.0):
        hangs(history, "worker/0", at)
        history.ends("worker/0", None, TERM)
        history.step(at + 1.0)
    assert history.state.outcome is None
    assert history.state.tasks["worker/0"].restarts == 4
