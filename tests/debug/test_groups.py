"""Which stacks are the same."""

from __future__ import annotations

from dataclasses import replace

from tenfold.debug.groups import grouped
from tenfold.debug.stacks import TaskStacks, from_json, to_json
from tests.debug.shapes import task, thread

IDLE, STEP = thread("get:1"), thread("step:3", "<module>:9")


def names(found: list[TaskStacks]) -> list[tuple[str, ...]]:
    return [group.tasks for group in grouped(found)]


def test_lines_may_differ_and_are_kept() -> None:
    (group,) = grouped([task("worker/0", STEP), task("worker/1", thread("step:5", "<module>:9"))])
    assert group.tasks == ("worker/0", "worker/1")
    assert group.lines == ((3, 5), (9,))


def test_the_number_of_similar_threads_does_not_matter() -> None:
    alike = [task("worker/0", STEP, IDLE, IDLE), task("worker/1", STEP, IDLE)]
    assert names([*alike, task("worker/2", STEP)]) == [("worker/0", "worker/1"), ("worker/2",)]


def test_tasks_in_different_states_are_in_different_groups() -> None:
    stopped = task("worker/1", STEP, state="T")
    down = TaskStacks("worker/2", "restarting", trouble="is not running: restarting")
    also_down = replace(down, task="worker/3")
    assert names([task("worker/0", STEP), stopped, down, also_down]) == [
        ("worker/2", "worker/3"), ("worker/0",), ("worker/1",),
    ]  # fmt: skip


def test_they_survive_being_written_down() -> None:
    found = task("worker/0", STEP, IDLE, wchan="do_poll", raw="text")
    assert from_json(to_json(found)) == found
    assert from_json(to_json(found.without_raw())) == found.without_raw()
