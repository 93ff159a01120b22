"""Follow a run as it happens.

Its log lines, its changes, the newest text of unfinished lines, and a bar for its progress.

Reads the run directory a few times a second, like any other view, and writes to a `Screen`. The
tasks' files are read again only when the supervisor has written something new.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from tenfold.base.escapes import plain
from tenfold.base.naming import label_of
from tenfold.base.quantities import duration_text
from tenfold.errors import columns, printable
from tenfold.run import files
from tenfold.run.barfile import BarFile
from tenfold.run.eventlog import read_events
from tenfold.run.logs import LogLine, LogReader, merged, readers
from tenfold.run.progress import Progress
from tenfold.run.rundir import RunDirectory, TaskDirectory
from tenfold.run.states import LIVE, TERMINAL, State
from tenfold.views import progress
from tenfold.views.eventtexts import news
from tenfold.views.lines import Folder, Style, render
from tenfold.views.livetext import LiveText, fitted
from tenfold.views.screen import Screen
from tenfold.views.status import RunView, StatusReader
from tenfold.views.tasks import full_words

POLL_S = 0.1
PLAIN_PROGRESS_S = 10.0
_PROGRESS_POLL_S = 0.4
_ROOM_POLL_S = 1.0
_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class Options:
    """What to show: the labels of the wanted tasks, how, and whether to fold.

    `talk`: also what happens to the run, and how far it is.
    """

    labels: Sequence[str]
    style: Style
    fold: bool
    talk: bool = True


class Follower:
    """Follows one run until it is over or until `until` returns True."""

    def __init__(
        self,
        run: RunDirectory,
        screen: Screen,
        options: Options,
        settle: Callable[[], None] = lambda: None,
    ) -> None:
        """`settle` is called repeatedly. It may update the run directory."""
        self._run = run
        self._settle = settle
        self._screen = screen
        self._options = options
        self._folder = Folder()
        self._events_read = 0
        self._next_plain = time.monotonic() + PLAIN_PROGRESS_S
        self._next_look = 0.0
        self._next_room = 0.0
        self._full = False
        self._said: Progress | None = None
        self._announced: set[str] = set()
        self._now: RunView | None = None
        self._reader = StatusReader(run)
        self._mark: object = None
        self._left: Iterator[LogLine] = iter(())
        self._live = LiveText(screen, options.style, fold=options.fold)
        self.readers: list[LogReader] = readers(run.task(label) for label in options.labels)
        """The sources of log lines. Move them before `follow` to skip old lines."""

    def follow(
        self,
        until: Callable[[RunView], bool] = lambda _: False,
        interrupted: Callable[[], bool] = lambda: False,
    ) -> RunView:
        """Show what happens until the run is over. Returns its last status.

        `until`: stop when it holds of the status, after everything there is was shown.
        `interrupted`: stop at once; what was not shown is what the next call begins with.
        """
        self._screen.forget()
        try:
            while True:
                self._settle()
                now = self._status()
                if now.state in TERMINAL:  # or its directory was removed as it was read
                    self._settle()
                    now = self._status()
                done = now.state in TERMINAL or until(now)
                self._show_lines(interrupted, _ended(now), last=done)
                if now.state not in TERMINAL:
                    self._show_room()
                over = done or interrupted()
                if self._options.talk:
                    self._show_news(now)
                self._show_moving(now)
                if over:
                    return now
                time.sleep(POLL_S)
        finally:
            self._screen.wipe()

    def _show_room(self) -> None:
        """Report that the run's disk is full. Its supervisor then cannot report it."""
        moment = time.monotonic()
        if moment >= self._next_room:
            self._next_room = moment + _ROOM_POLL_S
            words = full_words(self._run.path)
            if words and not self._full:
                self._screen.say(f"· {words}", "bold red")
            self._full = words is not None

    def _status(self) -> RunView:
        """The status.

        It is read again if the supervisor has written since, or is gone.
        """
        mark = files.mark(self._run.status)
        now = self._now
        if now is None or mark is None or mark != self._mark or not self._run.alive():
            now = self._now = self._reader.read()
            self._mark = mark
        return now

    def _show_lines(self, interrupted: Callable[[], bool], ended: set[str], *, last: bool) -> None:
        for lines in (self._left, merged(self.readers, last=last, ended=ended)):
            while piece := list(itertools.islice(lines, _AT_ONCE)):
                fold = self._options.fold
                self._print(self._folder.feed(piece, time.time()) if fold else piece)
                self._folder.rewrite(self._rewritten)
                if interrupted():
                    self._left = lines
                    return
        self._print(self._folder.flush(None if last else time.time()))

    def _print(self, lines: Iterable[LogLine]) -> None:
        out, style = self._screen.out, self._options.style
        shown = list(lines)
        self._screen.lines((render(out, line, style) for line in shown), shown)

    def _rewritten(self, line: LogLine, more: str) -> bool:
        """Write how often a line came into its place."""
        out, style = self._screen.out, self._options.style
        bare = render(out, line._replace(text=more), style)
        room = out.width - columns(plain(bare)) - 3
        text = f"{fitted(plain(line.text), room)}  {more}"
        return room > 0 and self._screen.rewrite(line, render(out, line._replace(text=text), style))

    def _show_moving(self, now: RunView) -> None:
        """Show the newest text of lines that are not finished, and the progress below it."""
        lines = self._live.rows(self.readers) if now.state not in TERMINAL else []
        said = self._show_progress(now) if self._options.talk else ""
        self._screen.draw(*lines, said)

    def _show_news(self, now: RunView) -> None:
        events, self._events_read = read_events(self._run.events, start=self._events_read)
        for event in events:
            if words := news(event):
                self._screen.say(f"· {words}", "yellow")
                if hint := event.text("hint"):
                    self._screen.say(f"    hint: {printable(hint)}", "dim")
        if now.state == State.STARTING and now.reason and self._first(now.reason):
            self._screen.say(f"· {now.reason}", "dim")
        if now.state == State.RUNNING:
            self.announce(now)
        if now.state == State.RUNNING and now.outcome and self._first("outcome"):
            words = f"· {now.reason}; the cluster keeps running until Ctrl-C or tenfold down"
            self._screen.say(words, "green")

    def _first(self, what: str) -> bool:
        """Whether this is reported for the first time."""
        new = what not in self._announced
        self._announced.add(what)
        return new

    def announce(self, now: RunView) -> None:
        """Report, once, how many tasks run and where their pages are.

        Also who else can reach these.
        """
        if not self._first("running"):
            return
        running = sum(task.state == State.RUNNING for task in now.tasks)
        took = duration_text(time.time() - now.started) if now.started else "?"
        self._screen.say(f"· {count(running, 'task')} up after {took}", "green")
        for task in now.tasks:
            if task.url:
                self._screen.say(f"· {task.job}: {task.url}")
        if now.protection_words:
            exposed = now.protection == "none"
            self._screen.say(f"· {now.protection_words}", "yellow" if exposed else "dim")

    def _show_progress(self, now: RunView) -> str:
        """The progress to draw. Without a terminal it is printed now and then."""
        moment = time.monotonic()
        if moment >= self._next_look:
            self._next_look = moment + _PROGRESS_POLL_S
            self._said = self._progress(now)
        said = self._said
        if self._screen.err.moves:
            return progress.bar(self._screen.err, said) if said else self._wait(now)
        if said and moment >= self._next_plain:
            self._next_plain = moment + PLAIN_PROGRESS_S
            self._screen.say(f"· {progress.words(said)}")
        return ""

    def _progress(self, now: RunView) -> Progress | None:
        """The first progress that a running task reports, or else the first bar's."""
        running = [task for task in now.tasks if task.state == State.RUNNING]
        for read in (_reported, _drawn):
            for task in running:
                said = read(self._run.task(label_of(task.task)))
                if said is not None and (said.time or 0) >= (task.started or 0):
                    return said
        return None

    def _wait(self, now: RunView) -> str:
        if now.state in TERMINAL:
            return ""
        states = [task.state for task in now.tasks]
        took = duration_text(time.time() - now.started) if now.started else ""
        ending = now.state == State.STOPPING
        wanted, what = (State.STOPPING, "to end") if ending else (State.RUNNING, "up")
        number = f"{states.count(wanted)} of {len(states)} tasks {what}"
        words = f"{now.state or 'starting'}: {number}"
        err = self._screen.err
        return err.paint(f"{words}  {took}"[: err.width - 1], "dim")


def _reported(directory: TaskDirectory) -> Progress | None:
    said = Progress.read(directory.progress)
    return said if said is not None and said.share is not None else None


def _drawn(directory: TaskDirectory) -> Progress | None:
    bar = BarFile.read(directory.bar)
    return bar.shown if bar is not None else None


def _ended(now: RunView) -> set[str]:
    """The labels of tasks that write no more."""
    states = (*LIVE, State.WAITING, State.RESTARTING)
    return {label_of(task.task) for task in now.tasks if task.state not in states}


def count(number: int, word: str) -> str:
    """`1 task`, `13 tasks`."""
    return f"{number} {word}{'' if number == 1 else 's'}"
