"""What tasks of the local cell write is kept: last words, floods, the limit, a full disk."""

from __future__ import annotations

import os
import re
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tenfold.bringup.api import Run, up
from tenfold.planning.plan import Task
from tenfold.run.eventlog import read_events
from tenfold.run.logs import last_lines, merged, readers
from tenfold.run.logs.files import look
from tests.conftest import wait_for
from tests.disks import fill, small_disk
from tests.plans import plan_of, shell


def _python(name: str, code: str, **more: Any) -> Task:
    job, _, index = name.partition("/")
    return Task(
        job=job, index=int(index or 0), command=(sys.executable, "-c", code), workdir="/tmp", **more
    )


LAST_WORDS = {
    "its own exit": "import os; os.write(1, b'one\\nlast words'); os._exit(3)",
    "kill -9": "import os; os.write(1, b'one\\nlast words'); os.kill(os.getpid(), 9)",
    "a grandchild that holds the pipe": """
import os, time
if os.fork() == 0:
    os.setsid()
    os.write(1, b'one\\nlast words')
    time.sleep(600)
time.sleep(0.3)
os._exit(3)
""",
    "a thousand writes at once": """
import os
for n in range(1000):
    os.write(1, b'line %d\\n' % n)
os.write(1, b'last words')
os.kill(os.getpid(), 12)  # of SIGSEGV faulthandler would have the last word
""",
}


@pytest.mark.parametrize("how", LAST_WORDS)
def test_the_last_output_before_a_crash_is_kept(runs: Path, isolation: str, how: str) -> None:
    run = up(plan_of(_python("chief", LAST_WORDS[how])), runs=runs, isolation=isolation)
    status = run.wait(60)
    assert status["state"] == "failed"
    assert run.directory.task("chief-0").log("stdout").read_bytes().endswith(b"\nlast words")
    assert status["first_failure"]["lines"][-1] == "last words"


FLOOD = """
import os, sys, time
until = time.monotonic() + float(sys.argv[1])
n = 0
while time.monotonic() < until:
    piece = b''.join(b'line %09d of a flood that does not end\\n' % i for i in range(n, n + 500))
    os.write(1, piece)
    n += 500
os.write(2, b'%d' % n)
"""


def test_thirteen_tasks_at_full_speed_lose_and_tear_no_line(runs: Path) -> None:
    """A short form; `TENFOLD_TEST_FLOOD_S=10` is the long one. Nobody reads meanwhile."""
    seconds = os.environ.get("TENFOLD_TEST_FLOOD_S", "1")
    tasks = [
        Task("worker", n, (sys.executable, "-c", FLOOD, seconds), workdir="/tmp") for n in range(13)
    ]
    limit = 8 << 20
    run = up(plan_of(*tasks, success=("worker",), log_limit=limit), runs=runs)
    assert run.wait(float(seconds) + 60)["state"] == "succeeded"
    whole = re.compile(rb"(?:line \d{9} of a flood that does not end\n)*")
    for n in range(13):
        directory = run.directory.task(f"worker-{n}")
        count = int(directory.log("stderr").read_bytes())
        files = look(directory, "stdout")
        assert files.end == 44 * count
        kept = files.read(files.dropped, files.end)
        assert len(kept) >= min(limit, files.end)
        assert whole.fullmatch(kept)
        assert int(kept[5:14]) == files.dropped // 44
        assert int(kept[-39:-30]) == count - 1
        first = next(merged(readers([directory])))
        assert ("were dropped" in first.text) == (files.dropped > 0)


def test_a_full_disk_stops_no_task_and_is_reported_when_there_is_space(tmp_path: Path) -> None:
    code = """
import os, sys, time
for n in range(10**9):
    os.write(1, b'%d ' % n + b'x' * 3000 + b'\\n')
    time.sleep(0.0005)
    if n % 20 == 0 and os.path.exists(sys.argv[1]):
        os.write(2, b'%d' % n)
        break
"""
    end = tmp_path / "end"
    with small_disk(tmp_path / "disk", "8m") as disk:
        chief = Task("chief", 0, (sys.executable, "-c", code, str(end)), workdir="/tmp")
        quiet = shell("worker", "echo quiet; exec sleep 600")
        run = up(plan_of(chief, quiet), runs=disk / "runs")
        run.wait(20, for_state=("running",))
        filler = fill(disk)
        log = run.directory.task("chief-0").log("stdout")
        wait_for(lambda: not log.read_bytes().endswith(b"\n") or _is_still(log))
        assert run.status()["state"] == "running"
        filler.unlink()
        wait_for(lambda: "disk-back" in _kinds(run))
        end.touch()
        status = run.wait(60)
        assert status["state"] == "succeeded"
        text = log.read_text()
        (lost,) = re.findall(r"^\[tenfold: ([\d,]+) bytes lost: the disk was full\]$", text, re.M)
        events, _ = read_events(run.directory.events)
        back = [
            e for e in events if e.kind == "disk-back" and str(e.more["path"]).endswith("/tasks")
        ]
        assert sum(event.number("lost_bytes") or 0 for event in back) == int(lost.replace(",", ""))
        kinds = [event.kind for event in events]
        assert kinds.index("disk-full") < kinds.index("disk-back")
        written = int(run.directory.task("chief-0").log("stderr").read_text())
        assert last_lines(run.directory.task("chief-0"), 2)[0].startswith(f"{written} x")
        wait_for(lambda: not run.directory.alive())


def _is_still(log: Path) -> bool:
    size = log.stat().st_size
    time.sleep(0.3)
    return log.stat().st_size == size


def _kinds(run: Run) -> list[str]:
    return [event.kind for event in read_events(run.directory.events)[0]]


def test_the_end_of_a_run_is_written_on_a_full_disk(tmp_path: Path) -> None:
    """From the room that the supervisor has kept for it."""
    end = tmp_path / "end"
    script = f"while ! test -e {end}; do sleep 0.1; done; exit 3"
    with small_disk(tmp_path / "disk", "4m") as disk:
        run = up(plan_of(shell("chief", script)), runs=disk / "runs")
        run.wait(20, for_state=("running",))
        fill(disk)
        end.touch()
        wait_for(lambda: not run.directory.alive())
        status = run.status()
        assert (status["state"], status["reason"]) == ("failed", "chief/0 exited with code 3")
        assert status["tasks"][0]["exit_code"] == 3
        assert _kinds(run)[-1] == "cluster-failed"
