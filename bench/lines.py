"""Log lines a second, from tasks that print as fast as they can, with every line checked.

Part of `overhead.py`. Three ways for the same tasks: captured by a detached tenfold run (into
`stdout.log`), `tenfold up > FILE`, and `honcho start > FILE` (a tenth of the lines, since it takes
ten times as long; four times as many where a block at a time is captured, to last long enough).
All tasks prepare their lines and wait for a file called `go`; the clock runs from then until the
output was last written to. A line that is lost, torn, doubled or out of order fails the case.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from subprocess import DEVNULL

from clusters import TASKS, TENFOLD, end, environment, tenfold, write_cluster
from measure import Bench, Case, Measured, process
from tasks.chatter import line

_END_S = 300.0
_TICK_S = 0.004
"""How coarse the times of files are (a jiffy of 250 Hz)."""


@dataclass(frozen=True)
class Talk:
    """`tasks` tasks that print `lines` lines each; `how` is one of chatter.py's. In `home`."""

    home: Path
    tasks: int
    lines: int
    how: str

    def command(self, number: int | str) -> str:
        """What task `number` runs."""
        words = (TASKS / "chatter.py", number, self.lines, self.how)
        return " ".join(map(str, (sys.executable, *words)))

    def forget(self) -> None:
        """Whatever an earlier run of it left behind."""
        left_over = (*self.home.glob("ready-*"), *self.home.glob("done-*"))
        for left in (self.home / "go", *left_over):
            left.unlink(missing_ok=True)

    def go(self) -> None:
        """Let the tasks print, once all are ready; raises TimeoutError."""
        ready = [self.home / f"ready-{number}" for number in range(self.tasks)]
        wait_until(lambda: all(path.exists() for path in ready))
        (self.home / "go").touch()

    def rate(self, outputs: Sequence[Path]) -> Measured:
        """Lines a second of all tasks together, from `go` to the last byte; at least that."""
        begun = (self.home / "go").stat().st_mtime
        seconds = max(path.stat().st_mtime for path in outputs) - begun + _TICK_S
        return Measured("rate", "lines/s", self.tasks * self.lines / seconds)

    def text(self, number: int) -> bytes:
        """All that task `number` prints."""
        return b"".join(line(number, place) for place in range(self.lines))

    def check(self, number: int, found: bytes) -> None:
        """Raise RuntimeError, naming the first line that is wrong, unless all is there."""
        wanted = self.text(number)
        if found == wanted:
            return
        pairs = zip(found.splitlines(), wanted.splitlines(), strict=False)
        place = next((n for n, (one, other) in enumerate(pairs) if one != other), "last")
        raise RuntimeError(f"task {number}: {len(found)} of {len(wanted)} bytes; wrong at {place}")


def wait_until(condition: Callable[[], bool]) -> None:
    """Look now and then until `condition` holds; raises TimeoutError after a long time."""
    deadline = time.monotonic() + _END_S
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {_END_S:g} s in vain")
        time.sleep(0.1)


def captured(talk: Talk) -> Iterator[Measured]:
    """A detached run: task by task into its own log, byte for byte."""
    file = _cluster(talk)
    talk.forget()
    runs = file.parent / "runs"
    sizes = [len(talk.text(number)) for number in range(talk.tasks)]
    try:
        tenfold("up", file, "-d", "--runs", runs)
        newest = max(runs.glob("*/*"))
        logs = [newest / "tasks" / f"t-{number}" / "stdout.log" for number in range(talk.tasks)]
        talk.go()
        wait_until(lambda: [log.stat().st_size for log in logs] == sizes)
    finally:
        end(runs)
    for number, log in enumerate(logs):
        talk.check(number, log.read_bytes())
    yield talk.rate(logs)


def followed(talk: Talk) -> Iterator[Measured]:
    """`tenfold up`, its output in a file."""
    file = _cluster(talk)
    argv = [*TENFOLD, "up", str(file), "--runs", str(file.parent / "runs")]
    yield from _followed(talk, argv)


def by_honcho(talk: Talk) -> Iterator[Measured]:
    """`honcho start`, its output in a file.

    honcho stops all tasks when one ends, so each waits for the others at its end.
    """
    talk.home.mkdir(parents=True, exist_ok=True)
    numbers = range(talk.tasks)
    wait = " -a ".join(f"-e done-{number}" for number in numbers)
    lines = [
        f"t{number}: {talk.command(number)} && touch done-{number} "
        f"&& until test {wait}; do sleep 0.01; done\n"
        for number in numbers
    ]
    (talk.home / "Procfile").write_text("".join(lines), encoding="utf-8")
    yield from _followed(talk, [sys.executable, "-m", "honcho", "start"])


def _followed(talk: Talk, argv: Sequence[str]) -> Iterator[Measured]:
    talk.forget()
    output = talk.home / "output"
    with (
        output.open("wb") as stream,
        process(argv, cwd=talk.home, env=environment(), stdout=stream, stderr=DEVNULL) as started,
    ):
        talk.go()
        started.wait(_END_S)
    for number, found in enumerate(_without_prefixes(output, talk.tasks)):
        talk.check(number, found)
    yield talk.rate([output])


def _without_prefixes(output: Path, tasks: int) -> list[bytes]:
    """What each task printed, out of lines like `t-0 | task 000 line …`."""
    found: list[list[bytes]] = [[] for _ in range(tasks)]
    with output.open("rb") as lines:
        for whole in lines:
            _, bar, text = whole.partition(b"| ")
            if bar and text.startswith(b"task "):
                found[int(text[5:8])].append(text)
    return [b"".join(texts) for texts in found]


def _cluster(talk: Talk) -> Path:
    job = {"tasks": talk.tasks, "run": talk.command("${task.index}")}
    return write_cluster(talk.home, {"cluster": "talk", "jobs": {"t": job}})


def compare(bench: Bench, tasks: int, lines: int, how: str) -> None:
    """All three ways, for tasks that share `lines` lines."""
    at_a_time = "64 KiB" if how == "blocks" else "a line"
    name = f"{tasks} × printing {at_a_time} at a time"
    home = bench.home / f"talk-{tasks}-{how}"
    longest = lines * 4 if how == "blocks" else lines
    longer, talk, shorter = (
        Talk(home, tasks, count // tasks, how) for count in (longest, lines, lines // 10)
    )
    bench.compare(
        Case(f"{name}: tenfold, captured", lambda: captured(longer)),
        Case(f"{name}: tenfold up > file", lambda: followed(talk)),
        Case(f"{name}: honcho > file", lambda: by_honcho(shorter)),
    )
