"""The restart policy as tables: which ends are worth a restart, how many, and when."""

from __future__ import annotations

import signal

import pytest

from tenfold.planning.plan import RestartPolicy
from tenfold.planning.planner import CRASHES
from tenfold.run.states import State
from tenfold.supervise.restart import JITTER, MAX_BACKOFF_S, restart_at, spent_restarts
from tenfold.supervise.state import ClusterState, TaskState
from tests.supervise.histories import plan, task


def ended(
    rule: RestartPolicy,
    code: int | None = None,
    signal_number: int | None = None,
    *,
    at: float = 1000.0,
    retried: tuple[float, ...] = (),
    service: bool = False,
) -> TaskState:
    """A task of this rule that has just ended, unasked."""
    state = TaskState(task("worker/0", restart=rule, service=service), retried=list(retried))
    state.phase = State.SUCCEEDED if code == 0 and not service else State.FAILED
    state.ended, state.exit_code, state.signal = at, code, signal_number
    return state


def again_at(state: TaskState, *others: TaskState) -> float | None:
    """When a task in this state starts again, in a cluster of it and these others."""
    cluster = ClusterState.of(plan(state.task, *(other.task for other in others)))
    cluster.tasks = {one.task.name: one for one in (state, *others)}
    return restart_at(cluster, state)


@pytest.mark.parametrize(
    ("rule", "code", "number", "again"),
    [
        (RestartPolicy("never"), 1, None, False),
        (RestartPolicy("on-failure"), 1, None, True),
        (RestartPolicy("on-failure"), 0, None, False),
        (RestartPolicy("on-failure"), 2, None, False),  # bad input stays bad
        (RestartPolicy("on-failure"), None, signal.SIGKILL, True),
        (RestartPolicy("on-failure", codes=CRASHES), 1, None, False),
        (RestartPolicy("on-failure", codes=CRASHES), 127, None, False),
        (RestartPolicy("on-failure", codes=CRASHES), 128, None, True),
        (RestartPolicy("on-failure", codes=CRASHES), 255, None, True),
        (RestartPolicy("on-failure", codes=CRASHES), None, signal.SIGSEGV, True),
        (RestartPolicy("on-failure", codes=CRASHES), None, signal.SIGABRT, False),
        (RestartPolicy("on-failure", codes=((75, 75),)), 75, None, True),
        (RestartPolicy("on-failure", codes=((75, 75),)), None, signal.SIGKILL, False),
        (RestartPolicy("on-failure", codes=((137, 137),)), None, signal.SIGKILL, True),
        (RestartPolicy("always"), 0, None, True),
        (RestartPolicy("always"), 2, None, True),
        (RestartPolicy("always"), None, None, False),  # it could not even be started
        (RestartPolicy("on-failure"), None, None, False),
    ],
)
def test_the_restart_policy_decides_which_ends_restart(
    rule: RestartPolicy, code: int | None, number: int | None, again: bool
) -> None:
    assert (again_at(ended(rule, code, number)) is not None) is again


def test_a_service_that_exits_with_code_0_has_failed() -> None:
    assert again_at(ended(RestartPolicy("on-failure"), 0, service=True)) is not None
    assert again_at(ended(RestartPolicy("on-failure", codes=CRASHES), 0, service=True)) is None
    shared = RestartPolicy("on-failure", scope="cluster")
    assert again_at(ended(shared, 0, service=True)) is None, "it may end with the training"
    assert again_at(ended(shared, None, signal.SIGKILL, service=True)) is not None


@pytest.mark.parametrize(
    ("retried", "again"),
    [
        ((), True),
        ((990.0, 995.0), True),
        ((980.0, 990.0, 995.0), False),
        ((1.0, 2.0, 3.0), True),  # so long ago that they are forgiven
        ((940.0, 990.0, 995.0), True),  # the first is just forgiven
        ((940.1, 990.0, 995.0), False),
    ],
)
def test_the_budget_counts_within_its_window(retried: tuple[float, ...], again: bool) -> None:
    rule = RestartPolicy("on-failure", limit=3, window_s=60.0)
    assert (again_at(ended(rule, 1, retried=retried)) is not None) is again


def test_pauses_double_up_to_a_minute_and_start_small_again_when_failures_are_forgiven() -> None:
    rule = RestartPolicy("on-failure", limit=100, backoff_s=1.0, window_s=60.0)
    for spent, pause_s in ((0, 1.0), (1, 2.0), (2, 4.0), (5, 32.0), (6, 60.0), (20, 60.0)):
        at = again_at(ended(rule, 1, retried=(999.0,) * spent)) or 0.0
        assert pause_s <= at - 1000.0 <= pause_s * (1 + JITTER)
    at = again_at(ended(rule, 1, retried=(1.0,) * 20)) or 0.0
    assert at - 1000.0 <= 1 + JITTER
    assert MAX_BACKOFF_S == 60.0


def test_tasks_that_died_together_start_apart_and_a_history_replays_the_same() -> None:
    rule = RestartPolicy("on-failure")

    def moments() -> list[float | None]:
        found = []
        for index in range(8):
            state = ended(rule, 1)
            state.task = task(f"worker/{index}", restart=rule)
            found.append(again_at(state))
        return found

    assert len(set(moments())) == 8
    assert moments() == moments()


def test_spent_restarts_are_those_within_the_window() -> None:
    state = ended(RestartPolicy("on-failure", window_s=10.0), 1, retried=(985.0, 992.0, 999.0))
    assert spent_restarts([state], 1000.0) == 2
    assert spent_restarts([state, state], 1000.0) == 4
    assert spent_restarts([state], 2000.0) == 0


def test_tasks_that_restart_together_share_one_limit() -> None:
    rule = RestartPolicy("on-failure", limit=3, scope="cluster")
    state, other = ended(rule, 1, retried=(990.0,)), ended(rule, 1, retried=(980.0, 985.0))
    other.task = task("worker/1", restart=rule)
    assert again_at(state, other) is None
    alone = RestartPolicy("on-failure", limit=3)
    other.task = task("worker/1", restart=alone)
    assert again_at(state, other) is not None, "its own restarts were its own"


def test_a_task_that_was_never_ready_is_worth_a_restart_however_it_ended() -> None:
    state = ended(RestartPolicy("on-failure", codes=CRASHES), 1)
    assert again_at(state) is None
    state.unready = True
    assert again_at(state) is not None
