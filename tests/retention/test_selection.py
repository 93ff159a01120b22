"""What goes and what stays: run directories with real checkpoints, locks, links and owners."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tenfold.bringup.resume import decide
from tenfold.retention.limits import KeepLimits
from tenfold.retention.removal import REMOVING, delete, leftovers, put_away
from tenfold.retention.selection import Selection, by_limit, by_name
from tenfold.run.jsonfiles import write_json
from tenfold.run.rundir import RunDirectory, create, every, hold_lock
from tenfold.run.sizes import disk_use
from tenfold.run.turns import turn
from tests.bringup.test_resume import PLAN, former, handed_over

ALL = KeepLimits(keep=0)


def going(chosen: Selection) -> list[RunDirectory]:
    return [run for run, _ in chosen.removed]


def staying(chosen: Selection) -> dict[str, str]:
    return {kept.run.run: kept.why for kept in chosen.kept}


def remove(runs: Path, chosen: Selection) -> None:
    uses = {run for run, _ in chosen.removed}
    for _, away in put_away(runs, uses, lambda own: set(own)):
        assert isinstance(away, Path)
        delete(away)


def test_ended_runs_without_checkpoints_go(tmp_path: Path) -> None:
    first, second = former(tmp_path), former(tmp_path, "succeeded")
    chosen = by_limit(tmp_path, None, KeepLimits(keep=1))
    assert going(chosen) == [first]
    chosen = by_limit(tmp_path, None, ALL)
    assert going(chosen) == [first, second]
    remove(tmp_path, chosen)
    assert list(every(tmp_path)) == []
    assert not (tmp_path / "c").exists()


def test_a_run_that_is_up_stays(tmp_path: Path) -> None:
    run = former(tmp_path, "running")
    with hold_lock(run):
        assert staying(by_limit(tmp_path, None, ALL)) == {run.run: "it is running"}
        assert staying(by_name(tmp_path, [run], force=True)) == {run.run: "it is running"}
    assert going(by_limit(tmp_path, None, ALL)) == [run], "its supervisor died"


def test_a_run_in_the_queue_of_a_batch_system_stays(tmp_path: Path) -> None:
    run = former(tmp_path, "starting")
    write_json(run.elsewhere, {"cell": "slurm", "job": "1", "submitted": time.time()})
    write_json(run.status, {"state": "starting", "updated": time.time()})
    assert staying(by_limit(tmp_path, None, ALL)) == {run.run: "it is running"}


def test_a_run_on_another_host_that_still_writes_stays(tmp_path: Path) -> None:
    run = former(tmp_path, "running")
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(0.2):
            write_json(run.status, {"state": "running", "host": "far", "updated": time.time()})

    write_json(run.status, {"state": "running", "host": "far", "updated": time.time()})
    supervisor = threading.Thread(target=beat)
    supervisor.start()
    try:
        assert staying(by_limit(tmp_path, None, ALL)) == {run.run: "it is running"}
    finally:
        ended.set()
        supervisor.join()
    write_json(run.status, {"state": "running", "host": socket.gethostname(), "updated": 1.0})
    assert going(by_limit(tmp_path, None, ALL)) == [run]


def test_a_run_that_is_just_being_made_stays(tmp_path: Path) -> None:
    run = create(tmp_path, "c")
    write_json(run.plan, PLAN.to_json())
    assert staying(by_limit(tmp_path, None, ALL)) == {run.run: "it is running"}
    old = time.time() - 100
    os.utime(run.plan, (old, old))
    assert going(by_limit(tmp_path, None, ALL)) == [run]


def test_the_newest_complete_checkpoint_stays_and_a_later_up_resumes_it(tmp_path: Path) -> None:
    first, second = former(tmp_path, steps=(1,)), former(tmp_path, steps=(5,))
    third = former(tmp_path)
    chosen = by_limit(tmp_path, None, ALL)
    assert going(chosen) == [first, third]
    assert staying(chosen) == {second.run: "it has the newest complete checkpoint of c"}
    before = decide(tmp_path, PLAN)
    remove(tmp_path, chosen)
    after = decide(tmp_path, PLAN)
    assert before.earlier == after.earlier == second
    assert [checkpoint for _, checkpoint in after.checkpoints]


def test_a_damaged_checkpoint_is_not_what_keeps_the_training(tmp_path: Path) -> None:
    good, bad = former(tmp_path, steps=(1,)), former(tmp_path, steps=(5,))
    file = next(bad.shared("checkpoints").rglob("one"))
    file.write_bytes(file.read_bytes()[::-1])
    chosen = by_limit(tmp_path, None, ALL)
    assert going(chosen) == [bad]
    assert list(staying(chosen)) == [good.run]
    assert file.exists(), "looking renames nothing"


def test_force_removes_the_last_checkpoint_too(tmp_path: Path) -> None:
    run = former(tmp_path, steps=(1,))
    assert by_name(tmp_path, [run], force=False).kept[0].needed
    assert going(by_name(tmp_path, [run], force=True)) == [run]


def test_files_in_checkpoints_that_a_script_wrote_itself_stay_once(tmp_path: Path) -> None:
    first, second = former(tmp_path), former(tmp_path)
    for run in (first, second):
        (run.shared("checkpoints") / "model.pt").write_bytes(b"weights")
    third = former(tmp_path)
    chosen = by_limit(tmp_path, None, ALL)
    assert going(chosen) == [first, third]
    assert staying(chosen) == {second.run: "it has the newest files in checkpoints/ of c"}


def test_a_run_that_handed_its_checkpoint_over_can_go(tmp_path: Path) -> None:
    source = former(tmp_path, steps=(3,))
    run = handed_over(decide(tmp_path, PLAN), tmp_path)
    write_json(run.status, {"state": "running", "updated": time.time()})
    with hold_lock(run):
        chosen = by_limit(tmp_path, None, ALL)
        assert going(chosen) == [source]
        assert chosen.use.freed < disk_use(source).size, "its checkpoint has another link"
        remove(tmp_path, chosen)
    assert next(run.shared("checkpoints").rglob("one")).read_text() == f"{source.run} 3"


def test_the_only_source_of_a_run_that_lost_its_checkpoint_stays(tmp_path: Path) -> None:
    source = former(tmp_path, steps=(3,))
    run = handed_over(decide(tmp_path, PLAN), tmp_path)
    next(run.shared("checkpoints").rglob("one")).unlink()
    write_json(run.status, {"state": "running", "updated": time.time()})
    newer = former(tmp_path, steps=(9,))
    with hold_lock(run):
        chosen = by_name(tmp_path, [source], force=False)
    assert staying(chosen) == {
        source.run: f"{run.run} resumed from it and has no checkpoint of its own"
    }
    assert newer.run not in staying(chosen)


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"state": 5}', b"\xff"])
def test_a_damaged_run_can_go(tmp_path: Path, damage: bytes) -> None:
    run = former(tmp_path)
    for path in (run.status, run.plan):
        path.write_bytes(damage)
        old = time.time() - 100
        os.utime(path, (old, old))
    assert going(by_limit(tmp_path, None, ALL)) == [run]


def test_links_out_of_a_run_are_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "data").write_text("keep")
    runs = tmp_path / "runs"
    run = former(runs)
    (run.path / "results" / "link").symlink_to(outside)
    (run.path / "tasks" / "up").symlink_to("/")
    (run.path / "checkpoints").rmdir()
    (run.path / "checkpoints").symlink_to(outside)
    os.link(outside / "data", run.path / "results" / "hard")
    chosen = by_limit(runs, None, ALL)
    assert going(chosen) == [run]
    remove(runs, chosen)
    assert (outside / "data").read_text() == "keep"
    assert (outside / "data").stat().st_nlink == 1


def test_a_run_whose_place_is_a_link_is_no_run(tmp_path: Path) -> None:
    real = former(tmp_path / "other")
    (tmp_path / "runs" / "c").mkdir(parents=True)
    (tmp_path / "runs" / "c" / real.run).symlink_to(real.path)
    assert by_limit(tmp_path / "runs", None, ALL) == Selection()


def test_directories_that_nobody_may_write_are_removed(tmp_path: Path) -> None:
    run = former(tmp_path)
    inner = run.path / "results" / "a" / "b"
    inner.mkdir(parents=True)
    (inner / "file").touch()
    for path in (inner, inner.parent):
        path.chmod(0o500)
    chosen = by_limit(tmp_path, None, ALL)
    remove(tmp_path, chosen)
    assert not run.path.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
def test_a_run_of_another_user_stays(tmp_path: Path) -> None:
    run = former(tmp_path)
    os.chown(run.path, 65534, 65534)
    assert list(staying(by_limit(tmp_path, None, ALL)).values()) == ["it belongs to nobody"]


def test_containers_that_a_killed_supervisor_left_keep_the_run(tmp_path: Path) -> None:
    run = former(tmp_path, "running")
    write_json(run.plan, PLAN.to_json() | {"cell": "docker"})
    (run.path / "cell").mkdir()
    assert "may still run on docker" in staying(by_limit(tmp_path, None, ALL))[run.run]


def test_a_run_that_is_being_resumed_at_this_moment_stays(tmp_path: Path) -> None:
    run = former(tmp_path, steps=(1,))
    code = (
        "import sys, time; from pathlib import Path; from tenfold.run.turns import turn\n"
        "with turn(Path(sys.argv[1]), 'c'): print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as up:
        assert up.stdout is not None
        assert up.stdout.readline() == b"held\n"
        assert up.stdin is not None
        asked: list[list[RunDirectory]] = []

        def still(own: list[RunDirectory]) -> set[RunDirectory]:
            asked.append(own)
            return set()

        threading.Timer(0.3, up.stdin.close).start()
        assert list(put_away(tmp_path, [run], still)) == [(run, "it is needed by now")]
        assert up.poll() is not None or up.stdin.closed
    assert asked == [[run]], "it was asked only when nobody was starting a run"
    assert run.path.exists()


def test_two_commands_do_not_have_the_turn_at_once(tmp_path: Path) -> None:
    order: list[str] = []

    def second() -> None:
        with turn(tmp_path, "c"):
            order.append("second")

    with turn(tmp_path, "c"):
        other = threading.Thread(target=second)
        other.start()
        time.sleep(0.1)
        order.append("first")
    other.join()
    assert order == ["first", "second"]


def test_what_an_interrupted_removal_left_is_no_run_and_is_deleted_later(tmp_path: Path) -> None:
    run = former(tmp_path)
    [(_, away)] = list(put_away(tmp_path, [run], lambda own: set(own)))
    assert isinstance(away, Path)
    assert away.name.startswith(REMOVING)
    assert (away / "plan.json").exists()
    assert list(every(tmp_path)) == []
    assert leftovers(tmp_path) == [away]
    delete(away)
    assert leftovers(tmp_path) == []


def test_sizes_of_ended_runs_are_told_again_without_looking(tmp_path: Path) -> None:
    from tenfold.run.sizes import CACHED_FROM, size_of_run

    run = former(tmp_path)
    for number in range(CACHED_FROM):
        (run.path / "tasks" / f"worker-{number}").mkdir()
    size = size_of_run(run, over=True)
    kept = json.loads((run.path / "size.json").read_text())
    assert kept["bytes"] == size
    write_json(run.path / "size.json", kept | {"bytes": 7})
    assert size_of_run(run, over=True) == 7
    (run.path / "results" / "more").write_bytes(b"x" * 100_000)
    assert size_of_run(run, over=True) > size
    assert size_of_run(run, over=False) > size
