"""The views in a notebook: `%load_ext tenfold` adds `%map`, `%tasks` and `%logs`.

Owns the magics: their arguments, which run they mean, and going on in place. What they show is
the views' business. IPython is imported here and nowhere else; nothing is done before it is asked.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
import sys
import time
from collections.abc import Callable
from io import StringIO
from typing import Any

from IPython.core.error import UsageError
from IPython.core.getipython import get_ipython
from IPython.core.magic import Magics, line_magic, magics_class
from IPython.core.magic_arguments import argument, magic_arguments, parse_argstring
from IPython.display import display, update_display

from tenfold.base.naming import label_of
from tenfold.cli.common import find_run, find_run_and_tasks, seconds, settle_run
from tenfold.errors import InputError, TenfoldError, shown
from tenfold.run.logs import merged, readers, skip_to_tail
from tenfold.run.rundir import RunDirectory
from tenfold.views.headline import HeadlineReader
from tenfold.views.inline import logs_html, tasks_html, without_pages
from tenfold.views.lines import Style, render
from tenfold.views.map import show_map
from tenfold.views.picture import svg
from tenfold.views.status import StatusReader
from tenfold.views.tasks import show_run
from tenfold.views.terminal import Terminal
from tenfold.views.traffic import MapReader

EVERY_S = 1.0
"""Seconds between two updates of a view that is kept up to date."""

_Bundle = dict[str, str]
"""The output by MIME type. text/plain is always included."""

_cluster = argument(
    "cluster", nargs="?", help="the cluster, or CLUSTER/RUN-ID; default: this one, else the newest"
)
_follow = argument(
    "-f",
    "--follow",
    metavar="SECONDS",
    help="update the output for this time: 30, 5m; interrupt it at any time",
)


def load_ipython_extension(ipython: Any) -> None:
    """What `%load_ext tenfold` calls."""
    ipython.register_magics(TenfoldMagics)


def _plainly(magic: Callable[..., None]) -> Callable[..., None]:
    """Print errors as one line with a hint, like the commands."""

    @functools.wraps(magic)
    def told(*given: Any) -> None:
        try:
            magic(*given)
        except TenfoldError as error:
            hint = f"\n    hint: {error.hint}" if error.hint else ""
            raise UsageError(f"{error}{hint}") from None

    return told


@magics_class
class TenfoldMagics(Magics):  # type: ignore[misc]
    """`%map`, `%tasks` and `%logs`: the output of these commands as pictures."""

    @line_magic  # type: ignore[untyped-decorator]
    @magic_arguments()  # type: ignore[untyped-decorator]
    @_cluster  # type: ignore[untyped-decorator]
    @_follow  # type: ignore[untyped-decorator]
    @_plainly
    def map(self, line: str) -> None:
        """Show which tasks communicate, and how much."""
        options = parse_argstring(self.map, line)
        run = _run(options.cluster)
        reader = MapReader(run)

        def look() -> _Bundle:
            now = reader.read()
            return {"image/svg+xml": svg(now), "text/plain": _printed(show_map, now)}

        _show(run, look, options.follow)

    @line_magic  # type: ignore[untyped-decorator]
    @magic_arguments()  # type: ignore[untyped-decorator]
    @_cluster  # type: ignore[untyped-decorator]
    @_follow  # type: ignore[untyped-decorator]
    @_plainly
    def tasks(self, line: str) -> None:
        """Show the tasks of a run and their states."""
        options = parse_argstring(self.tasks, line)
        run = _run(options.cluster)
        reader, headlines = StatusReader(run), HeadlineReader(run)

        def look() -> _Bundle:
            now = without_pages(reader.read())
            headline = headlines.read(now)
            text = _printed(show_run, now, headline)
            return {"text/html": tasks_html(now, headline), "text/plain": text}

        _show(run, look, options.follow)

    @line_magic  # type: ignore[untyped-decorator]
    @magic_arguments()  # type: ignore[untyped-decorator]
    @argument("words", nargs="*", metavar="[CLUSTER] TASK", help="worker/3, or a job; default: all")  # type: ignore[untyped-decorator]
    @argument("-n", "--tail", metavar="N", default="20", help="lines of each task; default 20")  # type: ignore[untyped-decorator]
    @_follow  # type: ignore[untyped-decorator]
    @_plainly
    def logs(self, line: str) -> None:
        """Show the last output of the tasks."""
        options = parse_argstring(self.logs, line)
        if not re.fullmatch("[0-9]{1,15}", options.tail):
            raise InputError(f"-n is {shown(options.tail)}", hint="a number of lines")
        run, names = _run_and_tasks(tuple(options.words))
        labels = [label_of(name) for name in names]
        _show(run, functools.partial(_last_lines, run, labels, int(options.tail)), options.follow)


def _last_lines(run: RunDirectory, labels: list[str], count: int) -> _Bundle:
    sources = readers(run.task(label) for label in labels)
    skip_to_tail(sources, count)
    lines = list(merged(sources, last=True))
    width = max(map(len, labels), default=0)
    plain = Terminal(StringIO(), "never")
    text = "\n".join(render(plain, line, Style(width=width)) for line in lines)
    return {"text/html": logs_html(lines, width), "text/plain": text}


def _own_run() -> str | None:
    """The run whose Jupyter this is, or whose chief this notebook has become."""
    return os.environ.get("TENFOLD_RUN_DIRECTORY") or None


def _run(cluster: str | None) -> RunDirectory:
    return find_run(cluster or _own_run())


def _run_and_tasks(words: tuple[str, ...]) -> tuple[RunDirectory, list[str]]:
    """The run and its tasks for `[CLUSTER] [TASK…]`."""
    own = _own_run()
    try:
        return find_run_and_tasks(words, own)
    except InputError:
        if own is not None:
            with contextlib.suppress(InputError):
                return find_run_and_tasks(words[1:], words[0])
        raise


def _printed(show: Callable[..., None], *what: object) -> str:
    """The output of a view, without colour."""
    stream = StringIO()
    show(Terminal(stream, "never"), *what)
    return stream.getvalue().rstrip("\n")


def _show(run: RunDirectory, look: Callable[[], _Bundle], follow: str | None) -> None:
    """Show the result. With `follow`, update it until the run is over."""
    until = time.monotonic() + (seconds(follow, "-f") if follow else 0.0)
    place = _Page() if hasattr(get_ipython(), "kernel") else _Screen()
    with contextlib.suppress(KeyboardInterrupt):
        while True:
            settle_run(run)
            goes_on = run.alive() and time.monotonic() < until
            place.put(look())  # after `goes_on`: the last look is at a run that is over
            if not goes_on:
                return
            time.sleep(max(0.0, min(EVERY_S, until - time.monotonic())))


class _Page:
    """A cell's output in a notebook: one picture, which changes."""

    def __init__(self) -> None:
        self._display_id: str | None = None
        self._shown: _Bundle = {}

    def put(self, bundle: _Bundle) -> None:
        """Replace what was shown by this."""
        if self._display_id is None:
            self._display_id = display(bundle, raw=True, display_id=True).display_id
        elif bundle != self._shown:
            update_display(bundle, raw=True, display_id=self._display_id)
        self._shown = bundle


class _Screen:
    """A terminal.

    The text is on a screen of its own if it changes and the terminal supports that.
    """

    def __init__(self) -> None:
        self._shown: str | None = None

    def put(self, bundle: _Bundle) -> None:
        """Print this if it is new."""
        text = bundle["text/plain"]
        out = Terminal(sys.stdout, "never")
        if text != self._shown:
            out.print(f"\x1b[H\x1b[2J{text}" if self._shown is not None and out.moves else text)
        self._shown = text
