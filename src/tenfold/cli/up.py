"""`tenfold up`: start a cluster and follow it, or leave it running."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tenfold.base.quantities import limit_text
from tenfold.base.secrets import veiled
from tenfold.cli.common import (
    err,
    file_argument,
    json_option,
    on_option,
    out,
    print_json,
    runs_option,
    seconds,
    set_option,
)
from tenfold.errors import InputError, TenfoldError, printable
from tenfold.run.states import State

if TYPE_CHECKING:
    from tenfold.bringup.api import Run
    from tenfold.bringup.resume import Wish
    from tenfold.planning.plan import Plan
    from tenfold.views.follow import Follower
    from tenfold.views.status import RunView

_EXIT = {State.SUCCEEDED: 0, State.FAILED: 1, State.STOPPED: 130}
_LAST_WORD_S = 60.0
_PENDING = {State.WAITING, State.STARTING, State.RESTARTING}


@dataclass(frozen=True, slots=True)
class _Wishes:
    """The options of this command that are not part of the plan."""

    wait: bool
    timeout_s: float | None
    exit_code_from: str | None
    prefix: bool
    fold: bool
    as_json: bool


@click.command("up")
@file_argument
@set_option
@on_option
@click.option("-d", "--detach", is_flag=True, help="Return when the tasks have started.")
@click.option("--wait", is_flag=True, help="Like -d, but return when all tasks are ready.")
@click.option("--timeout", metavar="TIME", help="With -d or --wait: wait at most this long.")
@click.option("--keep/--no-keep", default=None, help="Keep running after the chief has succeeded.")
@click.option(
    "--isolation", metavar="MODE", help="Isolate the network: auto, namespace, loopback or none."
)
@click.option("--fresh", is_flag=True, help="Ignore checkpoints of earlier runs.")
@click.option("--resume", is_flag=True, help="Resume even if the command has changed.")
@click.option("--another", is_flag=True, help="Start a second run if the cluster is running.")
@click.option("--tag", "tags", multiple=True, metavar="TAG", help="Tag the run. Can be repeated.")
@click.option("--note", metavar="TEXT", help="Keep a note about the run.")
@click.option("--exit-code-from", metavar="TASK", help="Exit with the exit code of this task.")
@click.option("-y", "--yes", is_flag=True, help="Never ask for confirmation.")
@click.option("--dashboard/--no-dashboard", default=None, help="Start the dashboard or not.")
@click.option("--no-log-prefix", is_flag=True, help="Show lines without the task name.")
@click.option("--no-dedup", is_flag=True, help="Show every line, even if many tasks print it.")
@runs_option
@json_option
def command(
    file: Path | None,
    overrides: tuple[str, ...],
    cell: str | None,
    detach: bool,
    wait: bool,
    timeout: str | None,
    keep: bool | None,
    isolation: str | None,
    fresh: bool,
    resume: bool,
    another: bool,
    tags: tuple[str, ...],
    note: str | None,
    exit_code_from: str | None,
    yes: bool,
    dashboard: bool | None,
    no_log_prefix: bool,
    no_dedup: bool,
    runs: str | None,
    as_json: bool,
) -> int:
    """Start the cluster described in FILE (default ./tenfold.yaml) and follow its output.

    Press Ctrl-C to stop the cluster gracefully, and again to kill it. The cluster stops when its
    chief exits. If an earlier run was interrupted and left a checkpoint, the cluster resumes from
    that checkpoint. A cluster that is already running is not started again without --another.
    """
    del yes  # nothing is ever asked; the option is for scripts written for tools that do
    from tenfold.bringup.api import planned, up
    from tenfold.cluster import settings
    from tenfold.cluster.file import load

    detach = detach or wait
    timeout_s = None if timeout is None else seconds(timeout, "--timeout")
    _refuse_nonsense(detach, timeout, exit_code_from)
    before = _resume_wish(fresh, resume)
    loaded = load(file, settings=overrides)
    options = _options(overrides, cell, keep, isolation)
    made = replace(planned(loaded, cell=cell), options=options)
    if exit_code_from is not None:
        exit_code_from = made.task(exit_code_from).name
    kept = settings.resolve("keep", _yes_or_no(keep)).value == "yes"
    file_says = {"dashboard": _yes_or_no(loaded.cluster.dashboard)}
    seen = settings.resolve("dashboard", _yes_or_no(dashboard), file_says).value == "yes"
    run = up(
        made,
        runs=runs,
        keep=kept,
        isolation=isolation,
        attached=not detach,
        resume=before,
        another=another,
        tags=tags,
        note=note or "",
    )
    _show_plan(made)
    for note in run.notes:
        err().print(printable(veiled(note)))
    err().print(err().paint(veiled(f"run {run.directory.path}"), "dim"))
    if seen:
        _show_dashboard(run)
    wishes = _Wishes(wait, timeout_s, exit_code_from, not no_log_prefix, not no_dedup, as_json)
    return _detached(run, wishes) if detach else _attached(run, made, wishes)


def _options(
    overrides: tuple[str, ...], cell: str | None, keep: bool | None, isolation: str | None
) -> tuple[str, ...]:
    """The options that another `tenfold up` of the same cluster has to repeat."""
    from tenfold.cluster.file.extends import setting_shown

    words = [word for setting in overrides for word in ("--set", setting_shown(setting))]
    words += ["--on", cell] if cell else []
    words += [] if keep is None else ["--keep" if keep else "--no-keep"]
    return (*words, *(("--isolation", isolation) if isolation else ()))


def _resume_wish(fresh: bool, resume: bool) -> Wish:
    if fresh and resume:
        raise InputError("--fresh and --resume cannot be combined", hint="remove one of them")
    return "no" if fresh else "yes" if resume else "auto"


def _yes_or_no(wish: bool | None) -> str | None:
    return None if wish is None else "yes" if wish else "no"


def _show_dashboard(run: Run) -> None:
    """Print the address of the dashboard. The run continues without one."""
    from tenfold.dashboard.launch import start, tunnel

    directory = run.directory
    try:
        found = start(directory.path.parent.parent)
    except (OSError, TenfoldError) as error:
        err().print(err().paint(f"cannot start the dashboard: {error}", "dim"))
        return
    err().print(f"dashboard: {err().paint(found.url(directory), 'underline')}")
    if os.environ.get("SSH_CONNECTION"):
        err().print(err().paint(f"first, on your own machine: {tunnel(found.port)}", "dim"))


def _refuse_nonsense(detach: bool, timeout: str | None, exit_code_from: str | None) -> None:
    if timeout is not None and not detach:
        raise InputError(
            "--timeout requires -d or --wait", hint="without them, stop the cluster with Ctrl-C"
        )
    if exit_code_from is not None and detach:
        raise InputError(
            "--exit-code-from cannot be combined with -d or --wait", hint="remove one of them"
        )


def _show_plan(made: Plan) -> None:
    from tenfold.cluster.cell_table import traits
    from tenfold.views.follow import count

    jobs = ", ".join(
        f"{len(tasks)} {job}" if len(tasks) > 1 else job for job, tasks in made.jobs().items()
    )
    place = traits(made.cell).where
    name = err().paint(veiled(made.cluster), "bold")
    err().print(f"{name}: {count(len(made.tasks), 'task')} {place}: {jobs}")
    if made.python is not None:
        err().print(err().paint(f"python: {printable(veiled(made.python.words()))}", "dim"))
        for note in made.python.notes:
            err().print(err().paint(printable(veiled(note)), "yellow"))


def _follower(run: Run, labels: list[str], wishes: _Wishes) -> Follower:
    from tenfold.views.follow import Follower, Options
    from tenfold.views.lines import Style
    from tenfold.views.screen import Screen

    style = Style(prefix=wishes.prefix, width=max(map(len, labels), default=0))
    screen = Screen(err() if wishes.as_json else out(), err())
    fold = wishes.fold and screen.out.is_terminal
    options = Options(labels, style, fold)
    return Follower(run.directory, screen, options, run.settle)


def _detached(run: Run, wishes: _Wishes) -> int:
    deadline = None if wishes.timeout_s is None else time.monotonic() + wishes.timeout_s

    submitted = run.directory.is_elsewhere() and not (wishes.wait or deadline)

    def enough(now: RunView) -> bool:
        return submitted or _is_up(now, wishes.wait) or _over(deadline)

    follower = _follower(run, [], wishes)
    try:
        now = follower.follow(enough)
    except KeyboardInterrupt:
        err().print(
            "The cluster keeps running. Check it with `tenfold ps`, stop it with `tenfold down`."
        )
        return 130
    if now.state in _EXIT:
        now = run.awaited()
        _show_end(run)
        return _end(now, wishes, _exit_code(now))
    if not submitted and not _is_up(now, wishes.wait):
        raise TenfoldError(
            f"not all tasks have started after {limit_text(wishes.timeout_s or 0.0)}",
            hint="the cluster keeps running: check it with `tenfold ps`, "
            "stop it with `tenfold down`",
        )
    if now.state == State.RUNNING:
        follower.announce(now)
    err().print(err().paint(_commands(run), "dim"))
    return _end(now, wishes, 0)


def _commands(run: Run) -> str:
    """The commands for a run that was left running."""
    from tenfold.views.commands import with_runs

    runs = run.directory.path.parent.parent
    if with_runs("tenfold ps", runs) == "tenfold ps":
        return "tenfold ps | logs -f | down"
    return with_runs("tenfold ps | tenfold logs | tenfold down", runs)


def _is_up(now: RunView, wait: bool) -> bool:
    states = {task.state for task in now.tasks}
    return bool(now.state) and not states & (_PENDING if wait else {State.WAITING})


def _over(deadline: float | None) -> bool:
    return deadline is not None and time.monotonic() > deadline


def _attached(run: Run, made: Plan, wishes: _Wishes) -> int:
    follower = _follower(run, [task.label for task in made.tasks], wishes)
    with _signals_noted() as seen:
        _follow(run, follower, seen)
        now = run.awaited(_LAST_WORD_S)
    with contextlib.suppress(OSError):
        _show_end(run)
    if seen and now.state != State.SUCCEEDED:
        return _end(now, wishes, 128 + seen[0])
    if wishes.exit_code_from:
        return _end(now, wishes, _exit_code_of(now, wishes.exit_code_from))
    return _end(now, wishes, _exit_code(now))


def _end(now: RunView, wishes: _Wishes, code: int) -> int:
    if wishes.as_json:
        print_json(now.to_json())
    return code


def _exit_code(ended: RunView) -> int:
    return _EXIT[State(str(ended.state))]


@contextlib.contextmanager
def _signals_noted() -> Iterator[list[int]]:
    """Collect SIGINT, SIGTERM and SIGHUP in a list instead of ending this process."""
    seen: list[int] = []
    wanted = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
    before = {n: h for n in wanted if (h := signal.getsignal(n)) is not signal.SIG_IGN}
    for number in before:
        signal.signal(number, lambda number, _: seen.append(number))
    try:
        yield seen
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _follow(run: Run, follower: Follower, seen: list[int]) -> None:
    """Follow to the end.

    The first signal stops the run gracefully, the next one kills it.
    """
    from tenfold.supervise import control

    handled = 0

    def interrupted() -> bool:
        return len(seen) > handled

    while follower.follow(interrupted=interrupted).state not in _EXIT:
        handled = len(seen)
        gently = handled == 1
        words = "stopping (press Ctrl-C again to kill)" if gently else "killing"
        with contextlib.suppress(OSError):
            err().print(err().paint(f"\n{words}", "yellow"))
        with contextlib.suppress(TenfoldError):
            control.ask(run.directory, "stop" if gently else "kill", reason=_reason(seen))


def _reason(seen: list[int]) -> str:
    from tenfold.views.eventtexts import CTRL_C

    return CTRL_C if seen[-1] == signal.SIGINT else f"stopped by {signal.Signals(seen[-1]).name}"


def _exit_code_of(ended: RunView, name: str) -> int:
    task = next(task for task in ended.tasks if task.task == name)
    if task.signal:
        return 128 + int(getattr(signal, task.signal, 0))
    if task.exit_code is None:  # it never ran
        return _exit_code(ended)
    return task.exit_code


def _show_end(run: Run) -> None:
    from tenfold.views.account import show_end

    show_end(err(), run.directory)
