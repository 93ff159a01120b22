"""Following a run: an interruption is noticed between lines, and none of them is lost."""

from __future__ import annotations

import io
from pathlib import Path

from tenfold.run.jsonfiles import write_json
from tenfold.run.rundir import create, hold_lock
from tenfold.views.follow import Follower, Options
from tenfold.views.lines import Style
from tenfold.views.screen import Screen
from tenfold.views.status import status
from tenfold.views.tasks import show_run
from tenfold.views.terminal import Terminal
from tests.disks import fill, small_disk

COUNT = 5_000


def test_an_interruption_does_not_wait_for_what_is_left(tmp_path: Path) -> None:
    run = create(tmp_path, "c")
    directory = run.task("chief-0")
    directory.path.mkdir()
    directory.log("stdout").write_text("".join(f"line {n}\n" for n in range(COUNT)))
    write_json(run.plan, {"cluster": "c", "tasks": [{"task": "chief/0", "job": "chief"}]})
    write_json(run.status, {"state": "succeeded"})
    out = io.StringIO()
    screen = Screen(Terminal(out, "never"), Terminal(io.StringIO(), "never"))
    style = Style(prefix=False)
    follower = Follower(run, screen, Options(["chief-0"], style, fold=False, talk=False))
    follower.follow(interrupted=lambda: True)
    first = len(out.getvalue().splitlines())
    assert 0 < first < COUNT
    follower.follow(until=lambda _: True)
    assert out.getvalue().splitlines() == [f"line {n}" for n in range(COUNT)]


def test_a_full_disk_is_reported_by_readers_because_the_supervisor_cannot(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk:
        run = create(disk, "c")
        write_json(run.plan, {"cluster": "c", "tasks": [{"task": "chief/0", "job": "chief"}]})
        write_json(run.status, {"state": "running", "updated": 0})
        with hold_lock(run):
            out, err = io.StringIO(), io.StringIO()
            screen = Screen(Terminal(out, "never"), Terminal(err, "never"))
            follower = Follower(run, screen, Options([], Style(), fold=False, talk=False))
            follower.follow(until=lambda _: True)
            assert err.getvalue() == ""
            fill(disk)
            looks = iter([False, False, True])
            follower._next_room = 0.0
            follower.follow(until=lambda _: next(looks))
            words = f"the disk is full: {run.path} cannot be written\n"
            assert err.getvalue() == f"· {words}"
            show_run(Terminal(out, "never"), status(run))
            assert words in out.getvalue()
