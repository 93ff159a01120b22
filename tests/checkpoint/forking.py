"""Checkpoints of two small files; and stories with processes that are killed, or look on.

`python -m tests.checkpoint.forking STORY DIRECTORY`: on its own, since a process with a framework's
threads cannot be forked.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tenfold.checkpoint import Checkpoint, Checkpoints

LAST = 80


def shelf(place: Path, **more: int) -> Checkpoints:
    options: dict[str, float] = {"every_s": 0.0, "keep": 2} | more
    return Checkpoints("t", place=place, every_s=options["every_s"], keep=int(options["keep"]))


def content(text: str, note: Callable[[], object] = lambda: None) -> Callable[[Path], None]:
    """A writer of two files, which says `note` in the middle of one."""

    def write(path: Path) -> None:
        with open(path / "a", "w") as stream:
            stream.write(text)
            stream.flush()
            note()
            stream.write(text)
        (path / "b").write_text(text)

    return write


def save(saved: Checkpoints, step: int) -> bool:
    return saved.save(step, content(f"step {step} "), {"step": step})


def check(found: Checkpoint | None, *steps: int) -> None:
    """It is one of these, and holds what was saved."""
    assert found is not None
    assert found.step in steps
    assert found.position == {"step": found.step}
    assert (found.path / "a").read_text() == f"step {found.step} " * 2
    assert (found.path / "b").read_text() == f"step {found.step} "


def names(saved: Checkpoints) -> list[str]:
    assert saved.directory is not None
    return sorted(os.listdir(saved.directory))


def killed(place: Path) -> None:
    """Save in processes that are killed at their first, second, … step; prints what was left.

    That is how often it was the old one, and how often the new one.
    """
    moment, left = 0, {2: 0, 3: 0}
    while True:
        moment += 1
        saved = shelf(place / str(moment))
        save(saved, 1)
        save(saved, 2)
        was_killed = killed_at(saved, moment)
        found = saved.newest()
        check(found, 2, 3)
        assert found is not None
        left[found.step] += 1
        assert save(saved, 4), "whoever comes next tidies up"
        assert len(names(saved)) == 2, names(saved)
        check(saved.newest(), 4)
        if not was_killed:
            break
    print(*left.values())


def killed_at(saved: Checkpoints, moment: int) -> bool:
    """Save step 3 in a process that is killed just before its `moment`-th step; False: it ended.

    Steps are what Python audits (open, mkdir, rename, remove, flock, …), every fsync, and one in
    the middle of a file.
    """
    count = 0

    def passed(*_: object) -> None:
        nonlocal count
        count += 1
        if count == moment:
            os.kill(os.getpid(), signal.SIGKILL)

    sync: Any = os.fsync

    def fsync(fd: Any) -> None:
        passed()
        sync(fd)

    pid = os.fork()
    if pid == 0:
        os.fsync = fsync
        sys.addaudithook(passed)
        saved.save(3, content("step 3 ", passed), {"step": 3})
        os._exit(0)
    return os.WIFSIGNALED(os.waitpid(pid, 0)[1])


def looked_at(place: Path) -> None:
    """Save and remove while two processes look all the time."""
    saved = shelf(place, keep=1)
    save(saved, 0)
    readers = []
    for _ in range(2):
        readers.append(os.fork())
        if readers[-1] == 0:
            look(saved)
            os._exit(0)
    for step in range(1, LAST + 1):
        save(saved, step)
    assert [os.waitpid(pid, 0)[1] for pid in readers] == [0, 0]
    assert names(saved) == [f"{LAST + 1:06}-step-{LAST}"]


def look(saved: Checkpoints) -> None:
    """Look until the last is there; a look that meets a removal may find none."""
    seen = [0]
    while seen[-1] < LAST:
        found = saved.newest()
        if found is not None:
            seen.append(found.step)
    assert seen == sorted(seen)


if __name__ == "__main__":
    {"killed": killed, "looked_at": looked_at}[sys.argv[1]](Path(sys.argv[2]))
