"""Going on where an earlier run broke off: which one, whether, what is handed over; for real."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tenfold import cells
from tenfold.bringup.api import Run, planned, up
from tenfold.bringup.earlier import FRESH
from tenfold.bringup.resume import Resumption, decide, difference
from tenfold.checkpoint import Checkpoints
from tenfold.cli import run as typed
from tenfold.errors import InputError, TenfoldError
from tenfold.planning.plan import Plan, RestartPolicy, Task
from tenfold.run.eventlog import read_events
from tenfold.run.jsonfiles import read_json, write_json
from tenfold.run.rundir import RunDirectory, create, hold_lock
from tests.conftest import survivors, wait_for
from tests.plans import plan_of, shell

PLAN = plan_of(shell("chief", "train"), shell("worker", "help"))
ENDED = 1_764_000_000.0


def former(
    runs: Path,
    state: str | None = "failed",
    *,
    plan: Plan | None = PLAN,
    steps: tuple[int, ...] = (),
    name: str = "training",
) -> RunDirectory:
    """A run that is over, or whose supervisor died (`running`), and its checkpoints."""
    time.sleep(0.002)  # run-ids have milliseconds
    run = create(runs, "c")
    if plan is not None:
        write_json(run.plan, plan.to_json())
    if state is not None:
        write_json(run.status, {"state": state, "ended": ENDED, "updated": ENDED})
    saved = Checkpoints(name, place=run.shared("checkpoints"))
    for step in steps:
        saved.save(step, writer(f"{run.run} {step}"), {"at": step})
    return run


def writer(text: str) -> Callable[[Path], object]:
    def write(path: Path) -> None:
        (path / "parts").mkdir()
        (path / "parts" / "one").write_text(text)
        (path / "parts" / "one").chmod(0o600)

    return write


def handed_over(decided: Resumption, runs: Path) -> RunDirectory:
    run = create(runs, "c")
    write_json(run.plan, PLAN.to_json())
    decided.hand_over(run)
    return run


def step_of(run: RunDirectory, name: str = "training") -> int | None:
    found = Checkpoints(name, place=run.shared("checkpoints")).newest()
    return found.step if found else None


def test_the_newest_complete_checkpoint_of_the_newest_run_is_passed_on(tmp_path: Path) -> None:
    former(tmp_path, steps=(500,))
    last = former(tmp_path, steps=(10, 20))
    decided = decide(tmp_path, PLAN)
    assert decided.earlier == last
    run = handed_over(decided, tmp_path)
    there = run.shared("checkpoints") / "training" / "000002-step-20" / "parts" / "one"
    assert there.read_text() == f"{last.run} 20"
    original = last.shared("checkpoints") / "training" / "000002-step-20" / "parts" / "one"
    assert there.samefile(original), "linked, not copied"
    assert os.listdir(there.parents[2]) == ["000002-step-20"], "the newest alone"
    record = read_json(run.resumed) or {}
    assert (record["run"], record["step"]) == (last.run, 20)
    assert record["checkpoint"] == "training/000002-step-20"
    assert record["ended"] == ENDED
    for path in (*there.parents[:3], there):
        assert path.stat().st_mode & 0o077 == 0, path


def test_the_age_of_the_checkpoint_at_the_end_of_the_run_is_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.time", lambda: ENDED - 12)
    run = former(tmp_path, steps=(1200,))
    assert decide(tmp_path, PLAN).notes == (
        f"resumes from {run.run}: checkpoint of step 1200, saved 12 s before it ended"
        " (--fresh ignores checkpoints)",
    )
    write_json(run.status, {"state": "running", "updated": ENDED - 12.5})
    assert ", saved just before it ended" in decide(tmp_path, PLAN).notes[0]


@pytest.mark.parametrize("state", ["failed", "stopped", "running", "starting", None])
def test_every_run_that_did_not_succeed_is_resumed(tmp_path: Path, state: str | None) -> None:
    former(tmp_path, state, steps=(1,))
    assert decide(tmp_path, PLAN).earlier is not None


def test_no_run_before_a_successful_one_is_resumed(tmp_path: Path) -> None:
    former(tmp_path, steps=(1,))
    well = former(tmp_path, "succeeded", steps=(2,))
    assert decide(tmp_path, PLAN) == Resumption()
    with pytest.raises(InputError, match=f"nothing to resume: {well.run} succeeded"):
        decide(tmp_path, PLAN, "yes")


def test_no_run_before_a_running_one_is_resumed(tmp_path: Path) -> None:
    former(tmp_path, steps=(1,))
    with hold_lock(up_now := former(tmp_path, "running", steps=(2,))):
        decided = decide(tmp_path, PLAN)
        assert (decided.earlier, decided.checkpoints) == (None, ())
        assert decided.notes == (f"starts from the beginning: {up_now.run} is still running",)
        with pytest.raises(InputError, match="is still running"):
            decide(tmp_path, PLAN, "yes")
    assert decide(tmp_path, PLAN).earlier is not None


def test_a_resumed_run_that_saved_nothing_hands_on_what_it_got(tmp_path: Path) -> None:
    first = former(tmp_path, steps=(7,))
    second = handed_over(decide(tmp_path, PLAN), tmp_path)
    third = handed_over(decide(tmp_path, PLAN), tmp_path)
    assert (read_json(third.resumed) or {})["run"] == second.run != first.run
    assert step_of(third) == 7


def test_a_run_without_a_checkpoint_is_skipped_unless_it_was_fresh(tmp_path: Path) -> None:
    older = former(tmp_path, steps=(7,))
    former(tmp_path)
    assert decide(tmp_path, PLAN).earlier == older
    fresh = decide(tmp_path, PLAN, "no")
    assert (fresh.earlier, fresh.checkpoints) == (None, ())
    begun = handed_over(fresh, tmp_path)
    assert (begun.path / FRESH).exists()
    assert not begun.resumed.exists()
    assert decide(tmp_path, PLAN).earlier is None, "what was given up stays given up"


def test_a_changed_command_starts_from_the_beginning_unless_resume_is_forced(
    tmp_path: Path,
) -> None:
    run = former(tmp_path, steps=(7,))
    other = plan_of(shell("chief", "train --rate 2"), shell("worker", "help"))
    decided = decide(tmp_path, other)
    assert decided.earlier is None
    assert decided.notes == (
        f"starts from the beginning: the command of chief has changed since {run.run};"
        " --resume resumes anyway",
    )
    assert decide(tmp_path, other, "yes").earlier == run


def test_a_secret_in_a_command_may_change(tmp_path: Path) -> None:
    def keyed(key: str) -> Plan:
        return plan_of(shell("chief", f"train --key {key}"), masked=frozenset({key}))

    run = former(tmp_path, plan=keyed("canary-one"), steps=(7,))
    assert "canary-one" not in run.plan.read_text()
    assert decide(tmp_path, keyed("canary-two")).earlier == run


def test_another_command_or_framework_is_another_training() -> None:
    assert difference(PLAN, PLAN) is None
    more = plan_of(shell("chief", "train"), shell("worker", "x"), shell("worker/1", "x"))
    assert difference(PLAN, more) is None, "helpers and their number may change"
    assert difference(PLAN, replace(PLAN, framework="jax")) == "the framework has changed"
    other = plan_of(shell("chief", "other"))
    assert difference(PLAN, other) == "the command of chief has changed"
    ranks = plan_of(shell("worker", "help"), success=("worker",))
    assert difference(plan_of(shell("chief", "x")), ranks) == "the command of worker has changed"


def test_another_cluster_is_another_training(tmp_path: Path) -> None:
    former(tmp_path, steps=(7,))
    assert decide(tmp_path, replace(PLAN, cluster="d")) == Resumption()


def test_a_damaged_checkpoint_is_renamed_and_the_older_one_is_used(tmp_path: Path) -> None:
    run = former(tmp_path, steps=(10, 20))
    bad = run.shared("checkpoints") / "training" / "000002-step-20"
    (bad / "parts" / "one").write_text("")
    decided = decide(tmp_path, PLAN)
    assert f"{bad} is damaged (parts/one has 0 bytes" in decided.notes[0]
    assert "checkpoint of step 10" in decided.notes[1]
    new = handed_over(decided, tmp_path)
    assert step_of(new) == 10
    assert (read_json(new.resumed) or {})["set_aside"] == [
        {"file": str(bad), "as": f"{bad}.damaged"}
    ]
    assert Path(f"{bad}.damaged").is_dir()


@pytest.mark.parametrize("harm", [b"", b'{"state": "fai', b"\xff\x00", b"[1]", b"[" * 100_000])
def test_a_damaged_status_is_renamed_and_the_run_is_resumed(tmp_path: Path, harm: bytes) -> None:
    run = former(tmp_path, steps=(10,))
    run.status.write_bytes(harm)
    decided = decide(tmp_path, PLAN)
    assert decided.earlier == run
    assert f"{run.status} is damaged" in decided.notes[0]
    assert run.status.with_name("status.json.damaged").read_bytes() == harm
    assert decide(tmp_path, PLAN).notes == decided.notes[1:], "named once"


def test_without_a_status_the_events_show_how_it_ended(tmp_path: Path) -> None:
    run = former(tmp_path, None, steps=(10,))
    run.events.write_text('{"time": 1, "kind": "cluster-succeeded", "task": null}\n')
    assert decide(tmp_path, PLAN) == Resumption()


def test_a_run_with_a_damaged_plan_is_reported_and_skipped(tmp_path: Path) -> None:
    older = former(tmp_path, steps=(10,))
    bad = former(tmp_path, steps=(20,))
    bad.plan.write_text("{")
    decided = decide(tmp_path, PLAN)
    assert decided.earlier == older
    assert any(f"{bad.run} has no readable plan" in note for note in decided.notes)
    strange = former(tmp_path, steps=(30,))
    write_json(strange.plan, {"version": 1})
    assert decide(tmp_path, PLAN).earlier == older


def test_links_that_replace_checkpoints_are_not_followed(tmp_path: Path) -> None:
    secrets = former(tmp_path / "elsewhere", steps=(1,))
    theirs = secrets.shared("checkpoints")
    whole = former(tmp_path, steps=(3,))
    for link in ("checkpoints", "checkpoints/training", "checkpoints/training/000001-step-1"):
        run = former(tmp_path)
        place = run.path / link
        place.parent.mkdir(exist_ok=True)
        if place.exists():
            place.rmdir()
        place.symlink_to(theirs / link.removeprefix("checkpoints").lstrip("/"))
        assert place.exists()
        assert decide(tmp_path, PLAN).earlier == whole, link
    run = former(tmp_path, steps=(1,))
    file = run.shared("checkpoints") / "training" / "000001-step-1" / "parts" / "one"
    text = file.read_text()
    file.unlink()
    (tmp_path / "secret").write_text(text)
    file.symlink_to(tmp_path / "secret")
    assert decide(tmp_path, PLAN).earlier == whole, "not even where it leads to what was written"
    run.status.unlink()
    run.status.symlink_to(tmp_path / "secret")
    assert "cannot be read" in decide(tmp_path, PLAN).notes[0]


def test_a_checkpoint_that_cannot_be_linked_is_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = former(tmp_path, steps=(10,))

    def refuses(*_: object, **__: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuses)
    new = handed_over(decide(tmp_path, PLAN), tmp_path)
    assert step_of(new) == 10
    copy = new.shared("checkpoints") / "training" / "000001-step-10" / "parts" / "one"
    assert copy.read_text() == f"{run.run} 10"
    assert copy.stat().st_mode & 0o777 == 0o600
    assert copy.stat().st_nlink == 1


def test_a_checkpoint_that_cannot_be_passed_on_is_an_error(tmp_path: Path) -> None:
    former(tmp_path, steps=(10,))
    decided = decide(tmp_path, PLAN)
    run = create(tmp_path, "c")
    (run.shared("checkpoints") / "training").write_text("in the way")
    with pytest.raises(TenfoldError, match="cannot link"):
        decided.hand_over(run)


def test_restarts_that_are_used_up_count_on_if_the_supervisor_died(tmp_path: Path) -> None:
    for state, counted in (("running", [5.0, 6.0]), ("failed", None)):
        run = former(tmp_path / state, state)
        task = run.task("chief-0")
        task.path.mkdir()
        write_json(task.status, {"task": "chief/0", "retried": [5.0, 6.0]})
        decided = decide(tmp_path / state, PLAN)
        assert decided.retried.get("chief/0") == (tuple(counted) if counted else None)
        new = handed_over(decided, tmp_path / state)
        record = read_json(new.resumed) or {"retried": {}, "step": None}
        assert record["retried"] == ({"chief/0": counted} if counted else {})
        assert record["step"] is None
    assert "still count" in decide(tmp_path / "running", PLAN).notes[0]


def test_remains_of_a_killed_supervisor_are_removed_before_resuming(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Docker's containers are, which go on without it, and save."""

    class Left(cells.ClientSide):
        def sweep(self, run: RunDirectory) -> list[str]:
            save = Checkpoints(place=run.shared("checkpoints")).save
            save(99, writer("the last that it saved"))
            return ["3 containers"]

    monkeypatch.setattr(cells, "client", lambda name: Left())
    dead, over = former(tmp_path / "a", "running", steps=(1,)), former(tmp_path / "b", steps=(1,))
    decided = decide(tmp_path / "a", PLAN)
    assert decided.notes[0] == f"removed the remains of {dead.run}: 3 containers"
    assert decided.checkpoints[0][1].step == 99
    decide(tmp_path / "a", plan_of(shell("chief", "another")))
    decide(tmp_path / "b", PLAN)
    assert step_of(over) == 1, "a run that ended has left nothing"
    steps = Checkpoints(place=dead.shared("checkpoints")).newest()
    assert steps is not None
    assert steps.number == 2, "another training's business"


def test_a_supervisor_on_another_host_is_seen_by_its_heartbeat(tmp_path: Path) -> None:
    run = former(tmp_path, "running", steps=(1,))
    beat = {"state": "running", "host": "another", "updated": 1.0}
    write_json(run.status, beat)
    later = threading.Timer(0.3, write_json, (run.status, beat | {"updated": 2.0}))
    later.start()
    assert decide(tmp_path, PLAN).earlier is None
    later.join()
    assert decide(tmp_path, PLAN).earlier == run, "it has stopped"


def test_an_invalid_resume_option_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="auto, yes, no"):
        decide(tmp_path, PLAN, "maybe")  # type: ignore[arg-type]


SCRIPT = """
import pathlib, sys, time, tenfold
saved = tenfold.checkpoint.Checkpoints(every_s=0)
found = saved.newest()
step = found.position["step"] if found else 0
print("from", step, flush=True)
while True:
    step += 1
    saved.save(step, lambda path: (path / "n").write_text(str(step)), {"step": step})
    if pathlib.Path(sys.argv[1]).exists():
        break
    time.sleep(0.01)
print("done", step, flush=True)
"""


def trainer() -> Plan:
    """Trains until it is stopped."""
    command = (sys.executable, "-c", SCRIPT, "/no such file")
    return plan_of(Task(job="chief", index=0, command=command, workdir="/tmp"))


def killed_in_training(runs: Path, made: Plan, isolation: str = "auto") -> Run:
    """A run whose supervisor was killed when some checkpoints were there."""
    run = up(made, runs=runs, isolation=isolation)
    wait_for(lambda: (step_of(run.directory) or 0) >= 3)
    pid = (read_json(run.directory.status) or {})["supervisor_pid"]
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not run.directory.alive() and not survivors(runs))
    return run


def said(run: RunDirectory) -> list[str]:
    return (run.task("chief-0").path / "stdout.log").read_text().splitlines()


def test_a_real_cluster_resumes_after_its_supervisor_was_killed(runs: Path, isolation: str) -> None:
    endless = trainer()
    broken = killed_in_training(runs, endless, isolation)
    reached = step_of(broken.directory)
    again = up(endless, runs=runs, isolation=isolation)
    try:
        wait_for(lambda: (step_of(again.directory) or 0) > (reached or 0) + 3)
        now = read_json(again.directory.status) or {}
    finally:
        again.stop(timeout_s=60)
    assert said(broken.directory) == ["from 0"]
    assert said(again.directory) == [f"from {reached}"]
    assert f"resumes from {broken.directory.run}: checkpoint of step {reached}" in again.notes[0]
    assert now["resumed_from"]["run"] == broken.directory.run
    assert now["resumed_from"]["step"] == reached
    events, _ = read_events(again.directory.events)
    assert [event.more["step"] for event in events if event.kind == "resumed"] == [reached]
    assert step_of(broken.directory) == reached, "what was handed over stays where it was"


FILE = """
cluster: told
jobs: {chief: {run: [PYTHON, train.py, enough]}}
"""


def test_up_resumes_as_the_options_say_and_prints_it(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.py").write_text(SCRIPT)
    file = tmp_path / "tenfold.yaml"
    file.write_text(FILE.replace("PYTHON", json.dumps(sys.executable)))

    def tenfold(*words: str) -> tuple[int, str]:
        code = typed(["up", "--runs", str(runs), *words])
        return code, capsys.readouterr().err

    code, told = tenfold("--resume")
    assert code == 2
    assert "there is nothing to resume" in told
    assert tenfold("--resume", "--fresh")[0] == 2
    assert not list(runs.glob("told/*"))

    broken = killed_in_training(runs, planned(file))
    (tmp_path / "enough").touch()
    code, told = tenfold("--fresh")
    assert code == 0
    assert "resumes from" not in told
    assert said(RunDirectory(max(runs.glob("told/*")))) == ["from 0", "done 1"]

    (tmp_path / "enough").unlink()
    broken = killed_in_training(runs, planned(file))
    reached = step_of(broken.directory) or 0
    (tmp_path / "enough").touch()
    code, told = tenfold()
    assert code == 0
    assert f"resumes from {broken.directory.run}: checkpoint of step {reached}" in told
    last = RunDirectory(max(runs.glob("told/*")))
    assert said(last) == [f"from {reached}", f"done {reached + 1}"]
    code, told = tenfold()
    assert code == 0
    assert "resumes from" not in told, "it has finished"


def test_a_crash_loop_has_its_budgeted_starts_across_supervisors(
    runs: Path, tmp_path: Path
) -> None:
    marks = tmp_path / "starts"
    restart = RestartPolicy("on-failure", limit=3, backoff_s=0.2)
    task = shell("chief", f"echo >> {marks}; exit 7", restart=restart)
    first = up(plan_of(task), runs=runs)

    def used() -> list[Any]:
        return (read_json(first.directory.task("chief-0").status) or {}).get("retried") or []

    wait_for(lambda: len(used()) >= 2)
    os.kill((read_json(first.directory.status) or {})["supervisor_pid"], signal.SIGKILL)
    wait_for(lambda: not first.directory.alive() and not survivors(runs))
    before, counted = len(marks.read_text().splitlines()), len(used())
    second = up(plan_of(task), runs=runs)
    assert second.wait(60)["state"] == "failed"
    after = len(marks.read_text().splitlines()) - before
    assert after == 1 + 3 - counted, "the first start of the new run, and what was left"
