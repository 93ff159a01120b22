"""`tenfold logs`: show the output of tasks, together or one by one."""

from __future__ import annotations

import re
import time
from datetime import datetime

import click

from tenfold.base.naming import label_of
from tenfold.base.streams import nobody_reads
from tenfold.cli.common import (
    cluster_option,
    err,
    find_run_and_tasks,
    json_option,
    out,
    runs_option,
    seconds,
    settle_run,
    tasks_argument,
)
from tenfold.errors import InputError, shown


@click.command("logs")
@tasks_argument()
@cluster_option
@click.option("-f", "--follow", is_flag=True, help="Print new lines until the run ends.")
@click.option("-n", "--tail", metavar="N", help="Show only the last N lines of each task.")
@click.option(
    "--since", metavar="TIME", help="Show only lines since TIME: 5m, 2h30m or an ISO time."
)
@click.option("-t", "--timestamps", is_flag=True, help="Show the time of each line.")
@click.option("--no-log-prefix", is_flag=True, help="Show lines without the task name.")
@click.option("--no-dedup", is_flag=True, help="Show every line, even if many tasks print it.")
@runs_option
@json_option
def command(
    tasks: tuple[str, ...],
    cluster: str | None,
    follow: bool,
    tail: str | None,
    since: str | None,
    timestamps: bool,
    no_log_prefix: bool,
    no_dedup: bool,
    runs: str | None,
    as_json: bool,
) -> None:
    """Show the output of tasks. TASK is a task (worker/3) or a whole job (worker).

    The first argument can name the cluster: `logs word2vec worker`. --json prints JSON Lines.
    """
    from tenfold.run.logs import skip_to_tail
    from tenfold.views.follow import Follower, Options
    from tenfold.views.lines import Style
    from tenfold.views.screen import Screen

    moment = None if since is None else since_moment(since, time.time())
    lines = None if tail in (None, "all") else _count(str(tail))
    run, names = find_run_and_tasks(tasks, cluster, runs)
    labels = [label_of(name) for name in names]
    width = max(map(len, labels), default=0)
    style = Style(as_json, not no_log_prefix, timestamps, width)
    screen = Screen(out(), err(), goes_on=False)
    fold = follow and screen.out.is_terminal and not no_dedup and not as_json
    options = Options(labels, style, fold, talk=False)
    follower = Follower(run, screen, options, lambda: settle_run(run))
    if moment is not None:
        for reader in follower.readers:
            reader.seek_time(moment)
    if lines is not None:
        skip_to_tail(follower.readers, lines)
    try:
        follower.follow(until=lambda _: not follow, interrupted=nobody_reads)
    except KeyboardInterrupt:
        return


def _count(tail: str) -> int:
    if not re.fullmatch("[0-9]{1,15}", tail):
        raise InputError(
            f"invalid value for --tail: {shown(tail)}", hint="write a number of lines, or all"
        )
    return int(tail)


def since_moment(text: str, now: float) -> float:
    """Seconds since 1970 for `5m` or `2h30m` before `now`, or a local ISO time."""
    try:
        return datetime.fromisoformat(text).astimezone().timestamp()
    except (ValueError, OverflowError):
        return now - seconds(text, "--since", "write 30s, 5m, 2h30m, or 2026-11-23T14:00:00")
