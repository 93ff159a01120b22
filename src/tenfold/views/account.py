"""The report of a run on a terminal.

It is complete in `tenfold why`, and short at the end of `up`.

Owns what it looks like. What it says is `why`'s.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from tenfold.base.quantities import duration_text, memory_text
from tenfold.base.secrets import veiled
from tenfold.errors import printable
from tenfold.run.rundir import RunDirectory
from tenfold.run.states import State
from tenfold.run.statusfiles import ResumedFrom
from tenfold.views.commands import with_runs
from tenfold.views.report import FirstFailure, RunReport, TaskRetries
from tenfold.views.terminal import STATE_COLOURS, Terminal
from tenfold.views.troubles import names_of
from tenfold.views.why import account

_MOST_LATER = 6
_MOST_TIMES = 5
_LABEL = 12
_DAY = "%Y-%m-%d %H:%M:%S"


def show_end(err: Terminal, run: RunDirectory) -> None:
    """Report how a run ended, where its files are, and what failed first.

    What to do about the failure comes last.
    """
    told = account(run)
    err.print(_headline(err, told))
    err.print(err.paint(veiled(f"all files: {told.status.directory}"), "dim"))
    if told.status.state == State.SUCCEEDED:
        return
    if told.first_failure:
        if later := _later(told):
            words = printable(f"afterwards, and possibly because of it: {later}")
            err.print(err.paint(words, "dim"))
        _show_failure(err, told.first_failure)
    if told.wrong:
        why = with_runs(f"tenfold why {told.status.cluster}", run.path.parent.parent)
        err.print(f"next: {why}" + _or(told.next))


def _or(commands: Sequence[str]) -> str:
    return "".join(f" | {command}" for command in commands)


def _headline(out: Terminal, told: RunReport) -> str:
    """The first line: the cluster's name, its state in colour, and the rest."""
    name, state = printable(told.status.cluster), told.status.state
    rest = printable(told.headline.removeprefix(told.status.cluster))
    colour = "bold red" if told.wrong else STATE_COLOURS.get(state or "", "")
    verb, _, words = rest.strip().partition(" ")
    cut = verb.rstrip(":;,")
    painted = out.paint(cut, colour) + verb[len(cut) :]
    return f"{out.paint(name, 'bold')} {painted}" + (f" {words}" if words else "")


def _show_failure(out: Terminal, first: FirstFailure) -> None:
    _show_exception(out, first)
    head = out.paint("first failure: ", "bold red") + out.paint(printable(first.task), "bold")
    out.print(f"{head} {printable(first.words)}{_at(first.time)}; {_lines_words(first)}")
    _show_lines(out, first.lines)


def _show_exception(out: Terminal, first: FirstFailure) -> None:
    """Where it was raised, and its whole message.

    The message is left out if it is among the last lines.
    """
    error = first.error
    if not error or not error.message or error.message[0] in first.lines:
        return
    where = f" at {error.where}" if error.where else ""
    out.print(out.paint(printable(f"its exception{where}:"), "bold"))
    shown = [f"    {error.source}"] if error.source else []
    _show_lines(out, [*shown, *error.message])


def _lines_words(first: FirstFailure) -> str:
    lines = first.lines
    if not lines:
        return "it wrote no output"
    return f"its last {len(lines)} lines:" if len(lines) > 1 else "its last output:"


def _show_lines(out: Terminal, lines: Sequence[str]) -> None:
    for line in lines:
        out.print(out.paint("  │ ", "red") + out.foreign(line))


def _later(told: RunReport) -> str:
    every = [f"{death.task} {death.words}" for death in told.status.consequences]
    more = f"; {len(every) - _MOST_LATER} more" if len(every) > _MOST_LATER else ""
    return "; ".join(every[:_MOST_LATER]) + more


def show_account(out: Terminal, told: RunReport) -> None:
    """Print the whole report, the first line first."""
    out.print(_headline(out, told))
    out.print(out.paint(f"run {told.status.run}  {told.status.directory}", "dim"))
    if told.first_failure:
        out.print("")
        _show_failure(out, told.first_failure)
    rows = list(_rows(told))
    if rows:
        out.print("")
    for label, words, hint in rows:
        out.print(f"{out.paint(f'{label:<{_LABEL}}', 'bold')}{printable(words)}")
        if hint:
            out.print(" " * _LABEL + out.paint(f"hint: {printable(hint)}", "dim"))
    for place, command in enumerate(told.next):
        label = "next" if place == 0 else ""
        more = ""
        if told.checkpoint and command.startswith("tenfold up"):
            more = out.paint(f"  # resumes from {printable(told.checkpoint.name)}", "dim")
        out.print(f"{out.paint(f'{label:<{_LABEL}}', 'bold')}{printable(command)}{more}")


Row = tuple[str, str, str | None]


def _rows(told: RunReport) -> Iterator[Row]:
    first = told.first_failure
    if first:
        yield from _failure_rows(first)
    if told.status.consequences:
        yield "then", _later(told), None
    for retry in told.retries:
        yield "tried", _retry_words(retry), None
    if told.resumed_from:
        yield "resumed", _resumed_words(told.resumed_from), None
    for trouble in told.troubles:
        label = trouble.kind if trouble.now else f"was {trouble.kind}"
        since = _at(trouble.time, "since" if trouble.now else "at").strip()
        words = f"{trouble.words} ({since})" if since else trouble.words
        yield label[: _LABEL - 1], words, trouble.hint
    yield from _state_rows(told)


def _failure_rows(first: FirstFailure) -> Iterator[Row]:
    if first.error:
        cause = first.error.cause
        yield "it says", first.error.line + (f": {cause}" if cause else ""), None
        if root := first.error.root:
            yield "because of", root, None
        if where := first.error.where:
            source = first.error.source
            yield "where", where + (f": {source}" if source else ""), None
    if first.meaning and first.cause is None:
        code = first.signal or f"code {first.exit_code}"
        yield "exit", f"{code}: {first.meaning}", None
    if first.hint:
        yield "do", first.hint, None


def _state_rows(told: RunReport) -> Iterator[Row]:
    run = told.status
    if run.ended:
        reason = f": {run.reason}" if run.reason and not told.first_failure else ""
        began = run.started
        took = f", after {duration_text(run.ended - began)}" if began else ""
        yield "ended", f"{run.state} {_clock(run.ended, _DAY)}{took}{reason}", None
    elif run.state == State.FAILED and run.seen:
        yield "last word", _clock(run.seen, _DAY), None
    if saved := told.checkpoint:
        older = "ago" if run.ended is None else "before the end"
        words = f"{saved.name}, step {saved.step}, {duration_text(told.checkpoint_age_s)} {older}"
        yield "checkpoint", words, None
    if disk := told.disk:
        free, total = memory_text(disk.free), memory_text(disk.total)
        yield "disk", f"{free} free of {total} where the run is kept", None


def _retry_words(retry: TaskRetries) -> str:
    times = [_clock(moment) for moment in retry.times]
    shown = ", ".join(times[-_MOST_TIMES:])
    shown = f"…, {shown}" if len(times) > _MOST_TIMES else shown
    count = "once" if len(times) == 1 else f"{len(times)} times"
    words = f"{retry.task} restarted {count} ({shown})"
    if retry.together:
        words += f", and with it {names_of(retry.together)}"
    if retry.limit is not None and retry.spent >= retry.limit:
        budget = f"all its {retry.limit} restarts are" if retry.limit > 1 else "its limit is"
        words += f"; {budget} used up"
    return words + (f"; the last time it {retry.because}" if retry.because else "")


def _resumed_words(resumed: ResumedFrom) -> str:
    words = f"from run {resumed.run}"
    if resumed.checkpoint:
        words += f", checkpoint {resumed.checkpoint}"
    return words + (f", step {resumed.step}" if resumed.step is not None else "")


def _at(moment: float | None, word: str = "at") -> str:
    return f" {word} {_clock(moment)}" if moment is not None else ""


def _clock(moment: float | None, form: str = "%H:%M:%S") -> str:
    if moment is None:
        return "?"
    try:
        return datetime.fromtimestamp(moment).astimezone().strftime(form)
    except (OverflowError, ValueError, OSError):
        return "?"
