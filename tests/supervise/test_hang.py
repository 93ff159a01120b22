"""When a cluster hangs, by tables of what was seen when: no process, no clock, no file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

import pytest

from tenfold.planning.plan import RestartPolicy
from tenfold.supervise.hang import HangVerdict, Resumed, Signs, Step, Stillness, in_vain, to_restart
from tests.supervise.histories import History, task

AFTER_S = 10.0
LIVES = {"chief/0": 0, "worker/0": 0, "worker/1": 0}
UP = Signs(up=True, lives=LIVES)


def steps(**done: float | None) -> Signs:
    """`chief_0=3`: what these have told so far, of 100; None: not a word."""
    told = {name.replace("_", "/"): Step(n, n is not None and n >= 100) for name, n in done.items()}
    return replace(UP, steps=told)


def lasting(signs: Signs, seconds: int) -> list[Signs]:
    """The same, a look a second."""
    return [signs] * seconds


def going(seconds: int, **still: float) -> list[Signs]:
    """chief/0 tells of a step a second; the others have stopped at theirs."""
    return [steps(chief_0=n, **still) for n in range(seconds)]


def told(looks: Iterable[Signs], every_s: float = 1.0) -> list[tuple[int, HangVerdict | Resumed]]:
    """What is said, and at which look."""
    stillness = Stillness(AFTER_S)
    answers = ((n, stillness.look(signs, n * every_s)) for n, signs in enumerate(looks))
    return [(n, answer) for n, answer in answers if answer is not None]


def hung(looks: Iterable[Signs]) -> list[tuple[int, str, str | None]]:
    """Only what hangs: at which look, by which sign, which task."""
    return [(n, v.sign, v.task) for n, v in told(looks) if isinstance(v, HangVerdict)]


@pytest.mark.parametrize(
    ("looks", "at"),
    [
        (lasting(steps(chief_0=5), 30), [(10, "progress", None)]),
        (going(5) + lasting(steps(chief_0=4), 30), [(14, "progress", None)]),
        (lasting(replace(UP, files=(10, 1)), 30), [(10, "files", None)]),
        (lasting(replace(UP, talk=0), 30), [(10, "talk", None)]),
        (lasting(UP, 30), []),  # nothing to go by
        (lasting(Signs(up=False, stopped=frozenset({"chief/0"})), 30), []),
        (going(100), []),
        (lasting(steps(chief_0=100), 30), []),  # all of its work is done
        (lasting(steps(chief_0=None), 30), [(10, "progress", None)]),
        ([replace(UP, files=(n, 1)) for n in range(30)], []),
        ([replace(UP, talk=n) for n in range(30)], []),
        # Progress alone counts where there is any.
        ([replace(steps(chief_0=5), files=(n, 1), talk=n) for n in range(30)],
         [(10, "progress", None)]),
        ([replace(UP, files=(1, 1), talk=n) for n in range(30)], [(10, "files", None)]),
    ],
)  # fmt: skip
def test_a_hang_is_detected_only_without_signs_of_life(
    looks: list[Signs], at: list[tuple[int, str, str | None]]
) -> None:
    assert hung(looks) == at


def bars(*marks: int | None) -> list[Signs]:
    """A look a second at bars that show these; None: no bar is open."""
    return [replace(UP, bars=mark) for mark in marks]


@pytest.mark.parametrize(
    ("looks", "at"),
    [
        (bars(*range(20), *[19] * 30), [(29, "bars", None)]),
        (bars(*range(200)), []),
        (bars(*[0] * 100), []),  # nobody knows yet how fast it moves
        (bars(*[n // 50 for n in range(500)]), []),  # it is slow from the beginning
        (bars(*range(9), *[8] * 8, *range(9, 12), *[11] * 60), [(59, "bars", None)]),
        (bars(*range(20), *[None] * 100), []),  # it has ended, and silence follows
        (bars(*range(20), *[None] * 100, *range(20, 25), *[24] * 30), [(134, "bars", None)]),
        ([replace(one, files=(1, 1)) for one in bars(*range(30))], [(10, "files", None)]),
        ([replace(one, steps={"chief/0": Step(9, finished=True)}) for one in bars(*[3] * 90)], []),
    ],
)  # fmt: skip
def test_a_bar_hangs_when_it_stands_longer_than_ever_before(
    looks: list[Signs], at: list[tuple[int, str, str | None]]
) -> None:
    assert hung(looks) == at


def test_another_life_learns_anew_how_long_its_bar_stands() -> None:
    slow = bars(*[n // 8 for n in range(80)])
    again = [replace(one, lives=LIVES | {"worker/0": 1}) for one in bars(*range(9), *[8] * 30)]
    assert hung(slow + again) == [(98, "bars", None)]


def test_a_bar_that_moves_again_ends_a_hang() -> None:
    answers = told(bars(*range(20), *[19] * 30, 20))
    assert [type(answer) for _, answer in answers] == [HangVerdict, Resumed]


def test_a_task_without_progress_is_named_while_others_progress() -> None:
    assert hung(going(30, worker_1=7)) == [(10, "progress", "worker/1")]
    assert hung(going(30, worker_1=100)) == [], "it has done its share"
    assert hung(going(30, worker_1=7, worker_0=9)) == [(10, "progress", "worker/0")]


def test_a_stall_that_spreads_is_reported_once_for_all() -> None:
    looks = going(4, worker_1=7) + lasting(steps(chief_0=3, worker_1=7), 40)
    assert hung(looks) == [(13, "progress", None)]


@pytest.mark.parametrize("others", [going(30), lasting(UP, 30), lasting(steps(chief_0=100), 30)])
def test_a_stopped_task_always_hangs(others: list[Signs]) -> None:
    looks = [replace(signs, stopped=frozenset({"worker/1"})) for signs in others]
    assert hung(looks) == [(10, "stopped", "worker/1")]


def test_a_short_stop_is_no_hang() -> None:
    halves = lasting(replace(UP, stopped=frozenset({"worker/1"})), 9) + lasting(UP, 1)
    assert hung(halves * 5) == []


def test_a_stopped_task_that_blocks_all_is_reported_once() -> None:
    still = replace(steps(chief_0=3), stopped=frozenset({"chief/0"}))
    (only,) = hung(going(4) + lasting(still, 60))
    assert only[0] in (13, 14)


def test_a_hang_of_all_is_reported_after_that_of_one() -> None:
    stopped = frozenset({"worker/1"})
    looks = [replace(signs, stopped=stopped) for signs in going(30)]
    looks += lasting(replace(steps(chief_0=29), stopped=stopped), 30)
    assert hung(looks) == [(10, "stopped", "worker/1"), (39, "progress", None)]


def test_a_second_hang_after_progress_is_reported_again() -> None:
    once = [*lasting(steps(chief_0=4), 15), steps(chief_0=5)]
    again = lasting(steps(chief_0=5), 15)
    kinds = [(n, type(answer)) for n, answer in told(once + again)]
    assert kinds == [(10, HangVerdict), (15, Resumed), (25, HangVerdict)]


def test_a_task_that_continues_is_reported_as_resumed() -> None:
    looks = lasting(replace(UP, stopped=frozenset({"worker/1"})), 15) + lasting(UP, 15)
    assert [(n, type(answer)) for n, answer in told(looks)] == [(10, HangVerdict), (15, Resumed)]


def _restarted(done: float | None, life: int = 1) -> Signs:
    return replace(steps(chief_0=done), lives=LIVES | {"chief/0": life})


def test_a_restart_resets_the_time_but_is_no_progress() -> None:
    looks = lasting(steps(chief_0=4), 12)
    looks += lasting(replace(UP, lives={"worker/0": 0, "worker/1": 0}), 3)  # its process has ended
    looks += lasting(_restarted(None), 5) + [_restarted(1.0)] * 3
    assert [(n, type(answer)) for n, answer in told(looks)] == [(10, HangVerdict), (20, Resumed)]


def test_a_task_that_hangs_after_its_restart_is_reported_again() -> None:
    looks = lasting(steps(chief_0=4), 12) + lasting(_restarted(None), 30)
    assert [(n, type(answer)) for n, answer in told(looks)] == [
        (10, HangVerdict),
        (22, HangVerdict),
    ]


def test_a_crash_of_one_task_restarts_the_time_of_all_tasks() -> None:
    looks = lasting(steps(chief_0=4), 8)
    looks += lasting(replace(steps(chief_0=4), lives=LIVES | {"worker/1": 1}), 8)
    assert hung(looks) == []


def _clock(*jumps: tuple[int, float]) -> Iterator[float]:
    """Seconds at each look, one after the other; at some looks the clock has jumped."""
    offset = 0.0
    for n in range(1000):
        offset += sum(by for at, by in jumps if at == n)
        yield n + offset


@pytest.mark.parametrize(
    "jumps",
    [
        [(5, 3600.0)],  # set forward, or a machine that slept
        [(5, -3600.0)],
        [(5, 3600.0), (6, -3600.0), (7, 86_400.0)],
        [(n, 100.0) for n in (3, 30, 60)],
    ],
)
def test_a_changed_clock_causes_no_hang_and_hides_none(jumps: list[tuple[int, float]]) -> None:
    slow = [signs for n in range(20) for signs in lasting(steps(chief_0=n), 6)]
    stillness = Stillness(AFTER_S)
    clock = _clock(*jumps)
    assert all(stillness.look(signs, next(clock)) is None for signs in slow)
    said = [stillness.look(slow[-1], next(clock)) for _ in range(15)]
    assert [type(verdict) for verdict in said if verdict] == [HangVerdict]


def test_a_hang_verdict_describes_the_sign() -> None:
    assert HangVerdict("progress", None, 12.3).words == "no progress for 12 s"
    assert HangVerdict("progress", "w/1", 12.3).words == (
        "w/1 has made no progress for 12 s, while others have"
    )
    assert HangVerdict("stopped", "w/1", 12.3).words == "w/1 has been stopped for 12 s"
    assert "no event file" in HangVerdict("files", None, 1.0).words
    assert "no traffic" in HangVerdict("talk", None, 1.0).words


RULE = RestartPolicy("on-failure", limit=2, window_s=100.0)


def _names(history: History, culprit: str | None) -> list[str]:
    return [state.task.name for state in to_restart(history.state, culprit)]


def test_the_culprit_is_started_again_and_what_belongs_with_it() -> None:
    alone, group = RULE, replace(RULE, scope="cluster")
    history = History(
        task("chief", restart=group), task("worker/0", restart=alone),
        task("board", member=False), task("worker/1", restart=alone),
    )  # fmt: skip
    history.step()
    assert _names(history, "worker/1") == ["worker/1"]
    assert _names(history, "chief/0") == ["chief/0", "worker/0", "worker/1"]
    assert _names(history, None) == ["chief/0", "worker/0", "worker/1"]
    history.ends("worker/0")
    assert _names(history, None) == ["chief/0", "worker/1"], "one that has ended is left alone"
    assert _names(history, "worker/0") == [], "also if it was the culprit"


def test_it_is_started_again_as_often_as_its_rule_allows() -> None:
    history = History(task("chief", restart=RULE))
    history.step()
    restarted = to_restart(history.state, "chief/0")
    for moment in (0.0, 50.0):
        assert not in_vain(history.state, restarted, moment)
        restarted[0].retried.append(moment)
    assert in_vain(history.state, restarted, 60.0)
    assert not in_vain(history.state, restarted, 120.0), "the first one is long ago"
