"""Which runs' readers are remembered."""

from __future__ import annotations

import pytest

from tenfold.dashboard import boards
from tenfold.dashboard.boards import Boards
from tenfold.run.jsonfiles import write_json

from .conftest import MakeRun
from .fake_runs import FakeRun


def test_a_board_is_remembered(demo_run: FakeRun) -> None:
    known = Boards()
    assert known.of(demo_run.directory) is known.of(demo_run.directory)


def test_boards_of_many_tasks_are_forgotten(
    make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(boards, "_MOST_TASKS", 5)
    known, runs = Boards(), [make_run({"worker": 3}) for _ in range(3)]
    made = [known.of(run.directory) for run in runs[:2]]
    for board in made:
        board.now()
    known.of(runs[2].directory)
    assert known.of(runs[1].directory) is made[1]
    assert known.of(runs[0].directory) is not made[0]


def test_the_map_shows_the_states_of_the_status(demo_run: FakeRun) -> None:
    board = Boards().of(demo_run.directory)
    demo_run.fail("worker/3")
    told = {task.task: task.state for task in board.now().status.tasks}
    assert {task.task: task.state for task in board.map().tasks} == told


def test_the_layout_takes_a_tasks_place_from_its_name(demo_run: FakeRun) -> None:
    write_json(demo_run.directory.plan, {"tasks": [{"task": "a/0", "job": "a", "index": "x"}]})
    drawn = Boards().of(demo_run.directory).map_with_layout(1.6)
    assert drawn["layout"]["nodes"].keys() == {"a/0"}
