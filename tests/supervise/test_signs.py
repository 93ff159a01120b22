"""The signs of a run, out of its directory and of real processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tenfold.planning.plan import Plan
from tenfold.run.jsonfiles import write_json
from tenfold.run.rundir import RunDirectory, create
from tenfold.supervise.hang import Signs, Step
from tenfold.supervise.signs import SignReader, TaskFacts
from tests.conftest import wait_for
from tests.debug.programs import stop
from tests.plans import plan_of, shell

CHIEF, WORKER = TaskFacts("chief/0", "running", None, 0), TaskFacts("worker/0", "running", None, 0)
BOARD = TaskFacts("tensorboard/0", "running", None, 0)


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    made = create(tmp_path, "c")
    for label in ("chief-0", "worker-0", "tensorboard-0"):
        made.task(label).path.mkdir()
    return made


def quiet() -> Plan:
    return plan_of(
        shell("chief", "true"), shell("worker", "true"), shell("tensorboard", "true", member=False)
    )


def talkative() -> Plan:
    return plan_of(shell("chief", "talk ${jobs.worker.addresses}"), shell("worker", "listen"))


def looker(run: RunDirectory, plan: Plan) -> Callable[..., Signs]:
    """Looks once a second at chief/0 and worker/0, or at other tasks."""
    reader, looks = SignReader(run, plan), iter(range(10_000))
    return lambda *tasks: reader.read(tasks or (CHIEF, WORKER), up=True, now=float(next(looks)))


def tell(run: RunDirectory, label: str, done: object, total: object = 10) -> None:
    write_json(run.task(label).progress, {"done": done, "total": total, "time": 1.0})


def test_how_far_members_are(run: RunDirectory) -> None:
    look = looker(run, quiet())
    assert look().steps == {}
    tell(run, "chief-0", 3)
    tell(run, "worker-0", 10)
    tell(run, "tensorboard-0", 1)
    found = look(CHIEF, WORKER, BOARD)
    assert found.steps == {"chief/0": Step(3), "worker/0": Step(10, finished=True)}
    assert found.lives == {"chief/0": 0, "worker/0": 0}


def draw(run: RunDirectory, label: str, moves: int, **said: bool) -> None:
    """The bar of a task: it is open, and moves."""
    wanted = {
        "done": moves,
        "total": 9,
        "time": 1.0,
        "open": True,
        "standing": False,
        "moves": moves,
    }
    write_json(run.task(label).bar, wanted | said)


def test_an_open_bar_is_a_sign_where_there_is_no_other(run: RunDirectory) -> None:
    look = looker(run, quiet())
    assert look().bars is None
    draw(run, "chief-0", 1)
    first = look().bars
    assert first is not None
    assert look().bars == first
    draw(run, "chief-0", 2)
    assert look().bars not in (None, first)
    draw(run, "chief-0", 3, open=False)
    assert look().bars is None
    draw(run, "chief-0", 4)
    tell(run, "worker-0", 1)
    assert look().bars is None, "the script reports its progress"


def test_output_counts_unless_it_only_draws_a_bar_that_stands(run: RunDirectory) -> None:
    look = looker(run, quiet())
    events = run.path / "tensorboard" / "events.out.tfevents.1"
    events.parent.mkdir(exist_ok=True)
    events.write_bytes(b"some")
    draw(run, "chief-0", 1)
    log = run.task("chief-0").log("stderr")
    marks: list[object] = []
    for standing in (False, True, True, False):
        draw(run, "chief-0", 1 if standing else len(marks), standing=standing)
        with log.open("ab") as stream:
            stream.write(b"\r 10%")
        marks.append(look().files)
    assert marks[1] == marks[2], "it is drawn again"
    assert len(set(marks)) == 3


def test_a_bar_of_an_earlier_start_does_not_count(run: RunDirectory) -> None:
    look, second = looker(run, quiet()), replace(CHIEF, starts=1)
    draw(run, "chief-0", 3)
    assert look().bars is not None
    assert look(second, WORKER).bars is None
    draw(run, "chief-0", 1)
    assert look(second, WORKER).bars is not None


def test_progress_of_an_earlier_start_does_not_count(run: RunDirectory) -> None:
    look, second = looker(run, quiet()), replace(CHIEF, starts=1)
    tell(run, "chief-0", 3)
    assert look().steps == {"chief/0": Step(3)}
    assert look(replace(CHIEF, phase="restarting"), WORKER).lives == {"worker/0": 0}
    assert look(second, WORKER).steps == {"chief/0": Step(None)}
    tell(run, "chief-0", 2)
    assert look(second, WORKER).steps == {"chief/0": Step(2)}


@pytest.mark.parametrize("text", ["", "nonsense", "[]", '{"done": "x"}', '{"done": NaN}'])
def test_damaged_progress_is_no_progress(run: RunDirectory, text: str) -> None:
    run.task("chief-0").progress.write_text(text)
    assert looker(run, quiet())().steps == {"chief/0": Step(None)}


def test_event_files_that_grow_are_a_sign_of_life(run: RunDirectory) -> None:
    look, home = looker(run, quiet()), run.shared("tensorboard")
    (home / "notes.txt").write_text("not one")
    assert look().files is None
    (home / "train").mkdir()
    events = home / "train" / "events.out.tfevents.2"
    events.write_text("x")
    first = look().files
    assert first is not None
    assert look().files == first
    events.write_text("xy")
    second = look().files
    assert second != first
    run.task("worker-0").log("stdout").write_text("epoch 1 ...")
    assert look().files != second, "a bar that moves, while an epoch takes long"
    tell(run, "chief-0", 3)
    assert look().files is None, "progress alone counts"


def _carried(run: RunDirectory, sent: int) -> None:
    with run.task("chief-0").traffic.open("a") as stream:
        sample = {"time": 1000.0 + sent, "peers": {"worker/0": [sent, 0, 1, 1]}}
        stream.write(json.dumps(sample) + "\n")


def test_traffic_counts_where_somebody_has_to_talk(run: RunDirectory) -> None:
    look = looker(run, talkative())
    assert look().talk is None, "nobody measures it, so that silence says nothing"
    run.task("chief-0").usage.write_text('{"time": 1000.0}\n')
    assert looker(run, quiet())().talk is None
    first = look().talk
    assert first is not None
    assert look().talk == first
    _carried(run, 5000)
    second = look().talk
    assert second != first
    run.task("worker-0").log("stdout").write_text("a line\n")
    assert look().talk != second


def test_heartbeats_are_no_traffic(run: RunDirectory) -> None:
    look = looker(run, talkative())
    run.task("chief-0").usage.write_text('{"time": 1000.0}\n')
    first = look().talk
    assert first is not None
    for n in range(60):
        _carried(run, 50 * n)
        assert look().talk == first, n


def test_a_stopped_process_of_any_task_and_its_children(run: RunDirectory) -> None:
    look = looker(run, quiet())
    script = f"{sys.executable} -c 'import time; time.sleep(600)' & echo $!; wait"
    process = subprocess.Popen(["sh", "-c", script], stdout=subprocess.PIPE, text=True,
                               start_new_session=True)  # fmt: skip
    try:
        assert process.stdout is not None
        child = int(process.stdout.readline())
        facts = replace(BOARD, pid=process.pid)
        assert look(facts).stopped == frozenset()
        stop(child)
        wait_for(lambda: look(facts).stopped == {"tensorboard/0"}, 10)
        os.kill(child, 18)
        wait_for(lambda: look(facts).stopped == frozenset(), 10)
    finally:
        os.killpg(process.pid, 9)
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def test_nothing_is_looked_at_before_the_cluster_is_up(run: RunDirectory) -> None:
    reader = SignReader(run, quiet())
    assert reader.read([CHIEF], up=False, now=0.0) == Signs(up=False)
